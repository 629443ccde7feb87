//! The events of a call, collected into one result.

use futures::StreamExt;

use crate::{EngineError, Event, EventStream, Inspection, StopReason};

/// An anomaly map at the size of its photograph.
#[derive(Clone, Debug, PartialEq)]
pub struct AnomalyMap {
    /// Width of the photograph in pixels.
    pub width: u32,
    /// Height of the photograph in pixels.
    pub height: u32,
    /// `[height, width]`, 0 to 1.
    pub values: Vec<f32>,
}

impl AnomalyMap {
    /// The event that hands the map to the caller.
    pub(crate) fn into_event(self, logits_side: u32) -> Event {
        Event::Mask {
            width: self.width,
            height: self.height,
            logits_side,
            map: self.values,
        }
    }
}

/// The last map, the last verdict and the stop reason of a call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InspectionOutcome {
    /// The map, unless the call ended before it or did not change it.
    pub map: Option<AnomalyMap>,
    /// The verdict, unless the call ended before it.
    pub inspection: Option<Inspection>,
    /// Why the call ended.
    pub reason: Option<StopReason>,
}

impl InspectionOutcome {
    /// Map and verdict of an inspection.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`] when the call ended before its verdict.
    pub fn complete(self) -> Result<(AnomalyMap, Inspection), EngineError> {
        self.map.zip(self.inspection).ok_or(EngineError::Cancelled)
    }

    fn add(&mut self, event: Event) {
        match event {
            Event::Mask {
                width,
                height,
                map: values,
                logits_side: _,
            } => {
                self.map = Some(AnomalyMap {
                    width,
                    height,
                    values,
                });
            }
            Event::Result(inspection) => self.inspection = Some(inspection),
            Event::Done { reason } => self.reason = Some(reason),
            Event::Progress { .. } | Event::Token { .. } => {}
        }
    }
}

impl EventStream<'_, Event> {
    /// Runs an inspection or a question to its end.
    ///
    /// # Errors
    /// The error that ends the stream.
    pub async fn collect_inspection(self) -> Result<InspectionOutcome, EngineError> {
        self.collect_inspection_with(|_| Ok(())).await
    }

    /// As [`Self::collect_inspection`], and shows each event to `observe` as it comes.
    ///
    /// # Errors
    /// The error that ends the stream, or the first one of `observe`, which cancels the call.
    pub async fn collect_inspection_with<E: From<EngineError>>(
        mut self,
        mut observe: impl FnMut(&Event) -> Result<(), E>,
    ) -> Result<InspectionOutcome, E> {
        let mut outcome = InspectionOutcome::default();
        while let Some(event) = self.next().await {
            let event = event?;
            observe(&event)?;
            outcome.add(event);
        }
        Ok(outcome)
    }
}
