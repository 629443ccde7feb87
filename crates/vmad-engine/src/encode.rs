//! From the photograph to visual tokens and image features: CLIP, projector, SAM and the prior.

use burn::tensor::{Tensor, TensorData};
use vmad_model::clip::ClipOutput;
use vmad_model::config::SimilaritySource;
use vmad_model::evidence::Features;
use vmad_model::similarity::sam_prior;
use vmad_prep::{PhotoFrame, Prior, RgbImage, SamInput, clip_pixels, sam_input};

use crate::call_context::CallContext;
use crate::image_features::ImageFeatures;
use crate::loaded_model::LoadedModel;
use crate::references::References;
use crate::{EngineError, Photo, Stage};

/// The output of the vision encoders for one photograph.
pub(crate) struct EncodedPhoto {
    pub frame: PhotoFrame,
    /// What the language model reads, `[1, n_visual, d_text]`.
    pub visual_tokens: Tensor<3>,
    /// What masks are decoded from.
    pub image: ImageFeatures,
}

/// The patch-similarity prior as each encoder takes it, where it takes one.
#[derive(Default)]
struct EncoderPriors {
    /// `[1, CLIP_CHANNELS, side, side]`
    clip: Option<Tensor<4>>,
    /// `[1, 1, 4·grid, 4·grid]`
    sam: Option<Tensor<4>>,
}

/// Decodes the photograph.
pub(crate) async fn decode(photo: Photo, ctx: &mut CallContext) -> Result<RgbImage, EngineError> {
    ctx.begin(Stage::Decode).await?;
    let image = photo.decode()?;
    ctx.end();
    Ok(image)
}

/// Runs the vision encoders.
pub(crate) async fn encode(
    loaded: &LoadedModel,
    references: &References,
    photo: &RgbImage,
    ctx: &mut CallContext,
) -> Result<EncodedPhoto, EngineError> {
    let encoder = Encoder { loaded };
    let frame = loaded.config.photo_frame(photo.dimensions());
    let sam = sam_input(photo, &frame);
    let priors = encoder.pixel_prior(references, &sam, ctx).await?;
    let taps = encoder.clip(photo, &frame, priors.clip, ctx).await?;
    let visual_tokens = encoder.project(&taps, ctx).await?;
    let mask_prompt = match priors.sam {
        Some(prior) => Some(prior),
        None => encoder.clip_prior(&taps, &frame, ctx).await?,
    };
    let taps = match loaded.model.evidence {
        Some(_) => taps,
        None => Vec::new(),
    };
    let image = encoder.sam(sam.pixels, ctx).await?;
    Ok(EncodedPhoto {
        frame,
        visual_tokens,
        image: ImageFeatures {
            features: Features {
                taps,
                image,
                frames: vec![frame],
            },
            mask_prompt,
        },
    })
}

/// The encoders, one stage each.
struct Encoder<'a> {
    loaded: &'a LoadedModel,
}

impl Encoder<'_> {
    /// The patch-similarity prior from pixels.
    async fn pixel_prior(
        &self,
        references: &References,
        sam: &SamInput,
        ctx: &mut CallContext,
    ) -> Result<EncoderPriors, EngineError> {
        let config = &self.loaded.config;
        if !config.needs_prior() {
            return Ok(EncoderPriors::default());
        }
        ctx.begin(Stage::Prior).await?;
        let prior = references.prior(sam);
        let clip = config.clip.similarity_prompt.then(|| {
            let side = config.clip.prior_side();
            let values = prior.for_clip(side as u32);
            let shape = [Prior::CLIP_CHANNELS, side, side];
            ctx.observer.values("clip.similarity", &shape, &values);
            self.upload(values, shape)
        });
        let sam = config.sam_compares(SimilaritySource::Pixels).then(|| {
            let side = config.sam.mask_side();
            let values = prior.for_sam(side as u32);
            let shape = [1, side, side];
            ctx.observer.values("sam.mask_prompt", &shape, &values);
            self.upload(values, shape)
        });
        ctx.end();
        Ok(EncoderPriors { clip, sam })
    }

    /// CLIP's features at the taps.
    ///
    /// # Shapes
    /// - prior: `[1, CLIP_CHANNELS, side, side]`
    /// - output: each `[1, grid², d_vision]`
    async fn clip(
        &self,
        photo: &RgbImage,
        frame: &PhotoFrame,
        prior: Option<Tensor<4>>,
        ctx: &mut CallContext,
    ) -> Result<Vec<Tensor<3>>, EngineError> {
        ctx.begin(Stage::Clip).await?;
        let side = self.loaded.config.clip.image_size;
        let pixels = clip_pixels(photo, frame);
        let shape = [3, side, side];
        ctx.observer.values("clip.pixels", &shape, &pixels);
        let pixels = self.upload(pixels, shape);
        let ClipOutput {
            hidden_states,
            taps,
        } = self.loaded.model.clip.forward(pixels, prior);
        if let Some(last) = hidden_states.last() {
            ctx.synchronize(last).await?;
        }
        for (i, state) in hidden_states.iter().enumerate() {
            ctx.observe(&format!("clip.hidden.{i}"), state).await?;
        }
        ctx.end();
        Ok(taps)
    }

    /// CLIP's features to visual tokens.
    ///
    /// # Shapes
    /// - taps: each `[1, grid², d_vision]`
    /// - output: `[1, n_visual, d_text]`
    async fn project(
        &self,
        taps: &[Tensor<3>],
        ctx: &mut CallContext,
    ) -> Result<Tensor<3>, EngineError> {
        ctx.begin(Stage::Projector).await?;
        let visual_tokens = self.loaded.model.project(taps);
        ctx.synchronize(&visual_tokens).await?;
        ctx.observe("projector.out", &visual_tokens).await?;
        ctx.end();
        Ok(visual_tokens)
    }

    /// SAM's mask prompt where it is the prior from CLIP's features.
    ///
    /// # Shapes
    /// - taps: each `[1, grid², d_vision]`
    /// - output: `[1, 1, 4·grid, 4·grid]`
    async fn clip_prior(
        &self,
        taps: &[Tensor<3>],
        frame: &PhotoFrame,
        ctx: &mut CallContext,
    ) -> Result<Option<Tensor<4>>, EngineError> {
        let config = &self.loaded.config;
        if !config.sam_compares(SimilaritySource::Clip) {
            return Ok(None);
        }
        ctx.begin(Stage::Prior).await?;
        let tap = taps[config.similarity_tap()].clone();
        let prior = sam_prior(tap, config, &[*frame]);
        ctx.synchronize(&prior).await?;
        ctx.observe("sam.mask_prompt", &prior).await?;
        ctx.end();
        Ok(Some(prior))
    }

    /// SAM's image embedding.
    ///
    /// # Shapes
    /// - values: `[3, size, size]`
    /// - output: `[1, d_out, grid, grid]`
    async fn sam(&self, values: Vec<f32>, ctx: &mut CallContext) -> Result<Tensor<4>, EngineError> {
        ctx.begin(Stage::Sam).await?;
        let side = self.loaded.config.sam.image_size;
        let shape = [3, side, side];
        ctx.observer.values("sam.pixels", &shape, &values);
        let pixels = self.upload(values, shape);
        let image = self.loaded.model.sam_encoder.forward(pixels);
        ctx.synchronize(&image).await?;
        ctx.observe("sam.image_embedding", &image).await?;
        ctx.end();
        Ok(image)
    }

    /// A batch of one on the device.
    ///
    /// # Shapes
    /// - output: `[1, channels, height, width]`
    fn upload(&self, values: Vec<f32>, [channels, height, width]: [usize; 3]) -> Tensor<4> {
        let data = TensorData::new(values, [1, channels, height, width]);
        Tensor::from_data(data, &self.loaded.device.device)
    }
}
