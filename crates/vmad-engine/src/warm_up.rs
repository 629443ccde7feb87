//! Inspections of nothing, so that the first one of something need not wait for a compiler.

use futures::StreamExt;
use vmad_kernels::Rehearsal;
use vmad_prep::RgbImage;
use vmad_prep::overlay::colour;

use crate::{Ask, CancelToken, Engine, EngineError, Generation, Query};

/// Side of the picture, pixels, and tokens that are said about it: the first takes other shaders than those behind it.
const SIDE: u32 = 64;
const TOKENS: usize = 3;

impl Engine {
    /// Has a browser compile beside each other what its GPU runs in an inspection, and says how many shaders that were.
    /// None elsewhere; [`Self::warm_up`] begins with it.
    ///
    /// # Errors
    /// [`EngineError::Cancelled`]; [`EngineError::Device`] when a shader is refused or the device is lost.
    pub async fn compile_ahead(&mut self, cancel: &CancelToken) -> Result<usize, EngineError> {
        let device = &self.chosen.device;
        let rehearsal = Rehearsal::begin(device)
            .await
            .map_err(EngineError::Device)?;
        let Some(rehearsal) = rehearsal else {
            return Ok(0);
        };
        self.inspect_nothing(cancel).await?;
        rehearsal.compiled().await.map_err(EngineError::Device)
    }

    /// Inspects a picture of no interest and forgets it, so that the first photograph need not wait until its GPU has
    /// compiled what it runs. Call it before there is a photograph; given up half-way it has done a part.
    ///
    /// # Errors
    /// As [`Self::compile_ahead`] and [`Self::inspect`]'s events.
    pub async fn warm_up(&mut self, cancel: &CancelToken) -> Result<(), EngineError> {
        self.compile_ahead(cancel).await?;
        self.inspect_nothing(cancel).await
    }

    async fn inspect_nothing(&mut self, cancel: &CancelToken) -> Result<(), EngineError> {
        let query = Query {
            ask: Ask::Description,
            generation: Generation {
                max_new_tokens: TOKENS,
                ..Generation::default()
            },
            ..Query::default()
        };
        // Not of one colour: nothing would stand out from anything.
        let dots = RgbImage::from_fn(SIDE, SIDE, |x, y| {
            colour(((x * 37 + y * 91) % 256) as f32 / 255.0).into()
        });
        let mut events = self.inspect(dots, query, cancel);
        let mut outcome = Ok(());
        while let Some(event) = events.next().await {
            outcome = outcome.and(event.map(|_| ()));
        }
        drop(events);
        self.session = None;
        self.timings.clear();
        outcome
    }
}
