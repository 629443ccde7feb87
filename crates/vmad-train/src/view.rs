//! A view of a scene: the encoders' inputs and the targets.

use half::f16;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use vmad_data::Sample;
use vmad_model::VmadConfig;
use vmad_model::config::SimilaritySource;
use vmad_prep::{PhotoFrame, Prior, RgbImage, clip_pixels, sam_input};

use crate::crop_window::CropWindow;
use crate::dssl::{PatchBox, draw_boxes};
use crate::targets::Targets;

/// A view of a scene: the encoders' inputs, or their outputs if they are frozen, and the targets.
pub struct View {
    /// CLIP's input or output.
    pub clip: ClipSource,
    /// SAM's input or output.
    pub sam: SamSource,
    /// `[1, mask_side, mask_side]`, the similarity prior for SAM; empty if unused or computed from
    /// CLIP's features.
    pub sam_prior: Vec<f32>,
    /// Where the photograph lies in the encoders' inputs.
    pub frame: PhotoFrame,
    /// Patches for DSSL, as CLIP sees them; none where the run has no DSSL.
    pub crops: Vec<(PatchBox, ClipSource)>,
    /// What the view teaches.
    pub targets: Targets,
}

/// CLIP's input or output.
pub enum ClipSource {
    /// The encoder's input.
    Pixels {
        /// `[3, clip, clip]`
        pixels: Vec<f32>,
        /// `[PRIOR_CHANNELS, prior_side, prior_side]`, the similarity prior; empty if unused.
        prior: Vec<f32>,
    },
    /// The output of a frozen encoder: each tap, `[grid², d_vision]`.
    Taps(Vec<Vec<f16>>),
}

/// SAM's input or output.
pub enum SamSource {
    /// The encoder's input, `[3, sam, sam]`.
    Pixels(Vec<f32>),
    /// The output of a frozen encoder, `[d_out, grid, grid]`.
    Embedding(Vec<f16>),
}

/// Prepares pixels and targets of a scene, or of a crop of it, as inference does. Training passes a
/// source of randomness and a number of boxes for DSSL.
pub fn prepare_view(
    model: &VmadConfig,
    sample: &Sample,
    crop: Option<CropWindow>,
    boxes: Option<(&mut ChaCha8Rng, usize)>,
) -> View {
    let window = crop.unwrap_or_else(|| CropWindow::whole(&sample.image));
    let image = window.crop(&sample.image);
    let frame = model.photo_frame(image.dimensions());
    let sam = sam_input(&image, &frame);
    let pixels = clip_pixels(&image, &frame);
    let prior = model.needs_prior().then(|| Prior::new(&sam));
    let prior_for = |is_needed: bool, part: &dyn Fn(&Prior) -> Vec<f32>| {
        let prior = prior.as_ref().filter(|_| is_needed);
        prior.map(part).unwrap_or_default()
    };
    let (clip_side, sam_side) = (model.clip.prior_side(), model.sam.mask_side());
    let clip_prior = prior_for(model.clip.similarity_prompt, &|prior| {
        prior.for_clip(clip_side as u32)
    });
    let sam_prior = prior_for(model.sam_compares(SimilaritySource::Pixels), &|prior| {
        prior.for_sam(sam_side as u32)
    });
    let targets = Targets::new(model, sample, window, frame, crop.is_some());
    View {
        clip: ClipSource::Pixels {
            pixels,
            prior: clip_prior,
        },
        sam: SamSource::Pixels(sam.pixels),
        sam_prior,
        crops: boxes.map_or_else(Vec::new, |(rng, n_boxes)| {
            dssl_crops(&image, &frame, n_boxes, rng)
        }),
        frame,
        targets,
    }
}

/// DSSL's patches of a photograph. They have no similarity prior: it compares a picture with itself and
/// says nothing about a patch alone.
fn dssl_crops(
    image: &RgbImage,
    frame: &PhotoFrame,
    n_boxes: usize,
    rng: &mut impl Rng,
) -> Vec<(PatchBox, ClipSource)> {
    let boxes = draw_boxes(rng, frame.sam_resized(), n_boxes);
    let crop = |patch: PatchBox| {
        let pixels = patch
            .in_photograph(frame)
            .clip_pixels(image, frame.clip_size);
        let prior = Vec::new();
        (patch, ClipSource::Pixels { pixels, prior })
    };
    boxes.into_iter().map(crop).collect()
}
