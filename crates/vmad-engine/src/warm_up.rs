//! Inspections of nothing, so that the first one of something need not wait for a compiler.

use futures::StreamExt;
use vmad_kernels::{DeviceKind, PipelinePrecompile};
use vmad_prep::RgbImage;
use vmad_prep::overlay::colour;

use crate::{Ask, CancelToken, Engine, EngineError, Generation, Query};

/// Side of the picture, pixels, and tokens that are said about it: the first takes other shaders than those behind it.
const SIDE: u32 = 64;
const TOKENS: usize = 3;

impl Engine {
    /// Readies a GPU, so that the first photograph need not wait until it has compiled what it runs: a browser compiles
    /// all of it beside each other, then a hardware GPU inspects a picture of no interest, which is forgotten. Whether
    /// there was anything to do; nothing on the CPU. Call it before there is a photograph; given up half-way it has done a part.
    ///
    /// # Errors
    /// [`EngineError::Device`] when a shader is refused or the device is lost, and as [`Self::inspect`]'s events.
    pub async fn warm_up(&mut self, cancel: &CancelToken) -> Result<bool, EngineError> {
        let DeviceKind::Gpu { software, .. } = self.chosen.kind else {
            return Ok(false);
        };
        if let Some(precompile) = PipelinePrecompile::new(&self.chosen.device) {
            precompile.launches(self.inspect_nothing(cancel)).await?;
            precompile.compiled().await.map_err(EngineError::Device)?;
        }
        // An inspection takes seconds where the GPU is emulated.
        if !software {
            self.inspect_nothing(cancel).await?;
        }
        Ok(true)
    }

    pub(crate) async fn inspect_nothing(
        &mut self,
        cancel: &CancelToken,
    ) -> Result<(), EngineError> {
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
