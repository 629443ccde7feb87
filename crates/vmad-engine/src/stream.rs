//! Streams of events from a future that emits them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures::Stream;
use futures::future::LocalBoxFuture;

use crate::{EngineError, Event};

type Queue<E> = Rc<RefCell<VecDeque<E>>>;

/// The sending end of an [`EventStream`].
pub(crate) struct Emitter<E = Event> {
    queue: Queue<E>,
}

impl<E> Emitter<E> {
    /// Hands an event over, and continues when the stream is polled again. So the caller has the
    /// event before the next computation starts.
    pub async fn emit(&self, event: E) {
        self.queue.borrow_mut().push_back(event);
        let mut is_handed_over = false;
        // No waker is needed: the stream answers this poll with the event, not with "pending".
        poll_fn(|_| {
            if std::mem::replace(&mut is_handed_over, true) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// The events of a call. Dropping the stream cancels the call; the engine stays usable.
#[must_use = "nothing is computed until the stream is polled"]
pub struct EventStream<'a, E = Event> {
    queue: Queue<E>,
    run: Option<LocalBoxFuture<'a, Result<(), EngineError>>>,
    error: Option<EngineError>,
}

impl<'a, E> EventStream<'a, E> {
    pub(crate) fn new<F>(start: impl FnOnce(Emitter<E>) -> F) -> Self
    where
        F: Future<Output = Result<(), EngineError>> + 'a,
    {
        let queue = Queue::<E>::default();
        let run = start(Emitter {
            queue: Rc::clone(&queue),
        });
        Self {
            queue,
            run: Some(Box::pin(run)),
            error: None,
        }
    }

    fn take_event(&self) -> Option<Result<E, EngineError>> {
        self.queue.borrow_mut().pop_front().map(Ok)
    }
}

impl<E> Stream for EventStream<'_, E> {
    type Item = Result<E, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(event) = self.take_event() {
            return Poll::Ready(Some(event));
        }
        let Some(run) = &mut self.run else {
            return Poll::Ready(self.error.take().map(Err));
        };
        match run.as_mut().poll(cx) {
            Poll::Pending => match self.take_event() {
                Some(event) => Poll::Ready(Some(event)),
                None => Poll::Pending,
            },
            Poll::Ready(result) => {
                self.run = None;
                self.error = result.err();
                let next = self.take_event().or_else(|| self.error.take().map(Err));
                Poll::Ready(next)
            }
        }
    }
}
