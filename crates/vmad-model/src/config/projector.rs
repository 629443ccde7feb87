//! The sizes of each projector.

use serde::{Deserialize, Serialize};

use super::clip::ClipConfig;
use super::llama::LlamaConfig;
use crate::ModelError;

/// The projector from patch features to visual tokens (§4 of the specification).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ProjectorConfig {
    /// LLaVA v1: one linear layer on the last tap.
    Linear {
        /// Patches along one side.
        grid: usize,
        /// Width of the patch features.
        d_vision: usize,
        /// Width of the language model.
        d_text: usize,
    },
    /// LLaVA-1.5: linear, GELU, linear on the last tap.
    #[serde(rename = "mlp2x_gelu")]
    Mlp2xGelu {
        /// Patches along one side.
        grid: usize,
        /// Width of the patch features.
        d_vision: usize,
        /// Width of the language model.
        d_text: usize,
    },
    /// TokenPacker: region attention from pooled queries to the concatenated taps.
    #[serde(rename = "tokenpacker")]
    TokenPacker(RegionConfig),
    /// Locality-enhanced token compression, the paper's projector.
    Ltc(LtcConfig),
    /// Average pooling of the last tap, then linear, GELU, linear. Table IV only.
    #[cfg(feature = "ablation")]
    AvgPool(PoolConfig),
    /// Learned queries that attend to the last tap, as Qwen-VL's. Table IV only.
    #[cfg(feature = "ablation")]
    Resampler(ResamplerConfig),
    /// MobileVLM V2's light-weight downsample projector. Table IV only.
    #[cfg(feature = "ablation")]
    Ldpv2(PoolConfig),
}

/// The sizes that every projector has.
struct Sizes {
    kind: &'static str,
    /// Patches along one side.
    grid: usize,
    /// Visual tokens along one side.
    side: usize,
    d_vision: usize,
    d_text: usize,
}

impl ProjectorConfig {
    fn sizes(&self) -> Sizes {
        let sizes = |kind, grid, side, d_vision, d_text| Sizes {
            kind,
            grid,
            side,
            d_vision,
            d_text,
        };
        // A stride of zero is refused by `validate`; until then it must not divide.
        let coarse = |grid: usize, stride: usize| grid / stride.max(1);
        match self {
            Self::Linear {
                grid,
                d_vision,
                d_text,
            } => sizes("linear", *grid, *grid, *d_vision, *d_text),
            Self::Mlp2xGelu {
                grid,
                d_vision,
                d_text,
            } => sizes("mlp2x_gelu", *grid, *grid, *d_vision, *d_text),
            Self::TokenPacker(c) => {
                let side = coarse(c.grid, c.stride);
                sizes("tokenpacker", c.grid, side, c.d_vision, c.d_text)
            }
            Self::Ltc(c) => {
                let side = coarse(c.grid, c.stride);
                sizes("ltc", c.grid, side, c.d_vision, c.d_text)
            }
            #[cfg(feature = "ablation")]
            Self::AvgPool(c) => sizes("avg_pool", c.grid, c.side, c.d_vision, c.d_text),
            #[cfg(feature = "ablation")]
            Self::Resampler(c) => sizes("resampler", c.grid, c.side, c.d_vision, c.d_text),
            #[cfg(feature = "ablation")]
            Self::Ldpv2(c) => sizes("ldpv2", c.grid, c.side, c.d_vision, c.d_text),
        }
    }

    /// Its name in a configuration.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.sizes().kind
    }

    /// Number of visual tokens that the projector gives the language model.
    #[must_use]
    pub fn n_visual(&self) -> usize {
        self.sizes().side.pow(2)
    }

    /// Width of the language model that the projector feeds.
    #[must_use]
    pub fn d_text(&self) -> usize {
        self.sizes().d_text
    }

    /// Checks that the projector fits the encoder before it and the language model after it.
    pub(super) fn validate(&self, clip: &ClipConfig, llm: &LlamaConfig) -> Result<(), ModelError> {
        let Sizes {
            grid,
            side,
            d_vision,
            d_text,
            ..
        } = self.sizes();
        check(grid == clip.grid(), "grid must be the CLIP grid")?;
        check(d_vision == clip.d_model, "d_vision must be clip.d_model")?;
        check(d_text == llm.d_model, "d_text must be llm.d_model")?;
        check(
            (1..=grid).contains(&side),
            "the visual tokens must form a grid of 1 to grid cells a side",
        )?;
        match self {
            Self::Linear { .. } | Self::Mlp2xGelu { .. } => Ok(()),
            Self::TokenPacker(region) => region.validate(clip),
            Self::Ltc(ltc) => ltc.validate(clip),
            #[cfg(feature = "ablation")]
            Self::AvgPool(_) | Self::Ldpv2(_) => Ok(()),
            #[cfg(feature = "ablation")]
            Self::Resampler(resampler) => resampler.validate(),
        }
    }
}

fn check(holds: bool, what: &str) -> Result<(), ModelError> {
    super::check::check(holds, &format!("projector: {what}"))
}

fn check_regions(grid: usize, stride: usize) -> Result<(), ModelError> {
    check(
        stride > 0 && grid.is_multiple_of(stride),
        "grid must be a multiple of stride",
    )
}

fn check_levels(n_levels: usize, clip: &ClipConfig) -> Result<(), ModelError> {
    check(n_levels == clip.taps.len(), "n_levels must count clip.taps")
}

/// Whether `d` splits into `n_heads` equal heads.
fn splits(d: usize, n_heads: usize) -> bool {
    n_heads > 0 && d.is_multiple_of(n_heads)
}

/// Sizes of TokenPacker (equal to LTC with `fusion = "concat"`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionConfig {
    /// Patches along one side.
    pub grid: usize,
    /// Width of the patch features.
    pub d_vision: usize,
    /// Width of the language model.
    pub d_text: usize,
    /// Levels concatenated for keys and values.
    pub n_levels: usize,
    /// Side of a region, patches.
    pub stride: usize,
    /// Heads of the region attention.
    pub inject_heads: usize,
}

impl RegionConfig {
    fn validate(&self, clip: &ClipConfig) -> Result<(), ModelError> {
        check_regions(self.grid, self.stride)?;
        check_levels(self.n_levels, clip)?;
        check(
            splits(self.d_vision, self.inject_heads),
            "heads must divide d_vision",
        )
    }
}

/// Sizes of LTC (§4).
///
/// Its parts can be left out one by one, as in the paper's ablation: `n_learner_blocks = 0` leaves
/// out the learner, `n_res_blocks = 0` the residual blocks, and `inject_levels` levels of the
/// injection. Without all three, average pooling and the output MLP remain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LtcConfig {
    /// Patches along one side.
    pub grid: usize,
    /// Width of the patch features, d.
    pub d_vision: usize,
    /// Width of the language model.
    pub d_text: usize,
    /// Hidden width of the output MLP.
    pub d_hidden: usize,
    /// CLIP levels handed in.
    pub n_levels: usize,
    /// The levels that are injected, by their place in `clip.taps`, rising from 0; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inject_levels: Option<Vec<usize>>,
    /// Side of a region, s; the output grid is `grid / stride`.
    pub stride: usize,
    /// Heads of self-attention and deformable attention.
    pub n_heads: usize,
    /// Sampling points of a head, K_p.
    pub n_points: usize,
    /// Learner blocks, N; without any the last level goes to the downsampler as it is.
    pub n_learner_blocks: usize,
    /// Residual blocks before and after the pooling, R.
    pub n_res_blocks: usize,
    /// Width of the learner's feed-forward layer.
    pub d_ff: usize,
    /// Width of the squeeze-excite bottleneck.
    pub se_dim: usize,
    /// Heads of the region attention.
    pub inject_heads: usize,
    /// How levels are combined; only `residual` (22)(23) here, `concat` is `token_packer`.
    #[serde(default)]
    pub fusion: Fusion,
}

impl LtcConfig {
    /// The levels that are injected.
    #[must_use]
    pub fn injected(&self) -> Vec<usize> {
        match &self.inject_levels {
            Some(levels) => levels.clone(),
            None => (0..self.n_levels).collect(),
        }
    }

    fn validate(&self, clip: &ClipConfig) -> Result<(), ModelError> {
        check_regions(self.grid, self.stride)?;
        check_levels(self.n_levels, clip)?;
        check(
            splits(self.d_vision, self.n_heads) && splits(self.d_vision, self.inject_heads),
            "heads must divide d_vision",
        )?;
        check(self.n_points > 0, "n_points must be positive")?;
        let injected = self.injected();
        check(
            injected.is_sorted_by(|a, b| a < b) && injected.iter().all(|l| *l < self.n_levels),
            "inject_levels must rise and name places in clip.taps, counted from 0",
        )
    }
}

/// How the levels are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fusion {
    /// Sum over levels plus the residual, equations (22) and (23).
    #[default]
    Residual,
}

/// Sizes of the projectors that pool.
#[cfg(feature = "ablation")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PoolConfig {
    /// Patches along one side.
    pub grid: usize,
    /// Visual tokens along one side. It need not divide `grid`: cells are then those of adaptive
    /// pooling.
    pub side: usize,
    /// Width of the patch features.
    pub d_vision: usize,
    /// Width of the language model.
    pub d_text: usize,
}

/// Sizes of the resampler.
#[cfg(feature = "ablation")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResamplerConfig {
    /// Patches along one side.
    pub grid: usize,
    /// Queries along one side; each gives a visual token.
    pub side: usize,
    /// Width of the patch features.
    pub d_vision: usize,
    /// Width of the language model, and of the attention.
    pub d_text: usize,
    /// Heads of the attention.
    pub n_heads: usize,
}

#[cfg(feature = "ablation")]
impl ResamplerConfig {
    fn validate(&self) -> Result<(), ModelError> {
        check(
            splits(self.d_text, self.n_heads),
            "n_heads must divide d_text in a resampler",
        )?;
        check(
            self.d_text.is_multiple_of(4),
            "d_text must be a multiple of 4 in a resampler, for its positions",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ltc() -> LtcConfig {
        LtcConfig {
            grid: 6,
            d_vision: 24,
            d_text: 40,
            d_hidden: 48,
            n_levels: 4,
            inject_levels: None,
            stride: 2,
            n_heads: 4,
            n_points: 3,
            n_learner_blocks: 2,
            n_res_blocks: 2,
            d_ff: 40,
            se_dim: 8,
            inject_heads: 3,
            fusion: Fusion::Residual,
        }
    }

    /// `named` is a part of the error, or `None` where the configuration is valid.
    fn check_one(projector: ProjectorConfig, named: Option<&str>) {
        let clip = ClipConfig {
            image_size: 84,
            patch_size: 14,
            d_model: 24,
            n_layers: 4,
            n_heads: 2,
            d_ff: 24,
            layer_norm_eps: 1e-5,
            taps: vec![1, 2, 3, 4],
            stem: super::super::stem::Stem::Patch,
            similarity_prompt: false,
        };
        let llm = LlamaConfig {
            vocab_size: 64,
            d_model: 40,
            n_layers: 1,
            n_heads: 2,
            n_kv_heads: 1,
            d_ff: 40,
            rms_norm_eps: 1e-5,
            rope_theta: 1e4,
            max_positions: 64,
            tie_embeddings: true,
        };
        let problem = projector.validate(&clip, &llm).map_err(|e| e.to_string());
        match (named, &problem) {
            (None, Ok(())) => {}
            (Some(named), Err(problem)) => assert!(problem.contains(named), "{problem}"),
            _ => panic!("{projector:?}: {problem:?}"),
        }
    }

    #[test]
    fn parts_of_ltc_can_be_left_out() {
        let with = |change: fn(&mut LtcConfig)| {
            let mut config = ltc();
            change(&mut config);
            ProjectorConfig::Ltc(config)
        };
        check_one(with(|_| ()), None);
        check_one(with(|c| c.n_learner_blocks = 0), None);
        check_one(with(|c| c.n_res_blocks = 0), None);
        check_one(with(|c| c.inject_levels = Some(vec![])), None);
        check_one(with(|c| c.inject_levels = Some(vec![0, 3])), None);
        check_one(with(|c| c.inject_levels = Some(vec![3, 0])), Some("rise"));
        check_one(with(|c| c.inject_levels = Some(vec![1, 1])), Some("rise"));
        check_one(with(|c| c.inject_levels = Some(vec![4])), Some("rise"));
        check_one(with(|c| c.stride = 0), Some("stride"));
        check_one(with(|c| c.stride = 4), Some("stride"));
        check_one(with(|c| c.inject_heads = 5), Some("heads"));
        check_one(with(|c| c.n_levels = 3), Some("n_levels"));
        check_one(with(|c| c.d_text = 41), Some("d_text"));
    }

    #[cfg(feature = "ablation")]
    #[test]
    fn projectors_of_the_ablation() {
        let pool = |side| PoolConfig {
            grid: 6,
            side,
            d_vision: 24,
            d_text: 40,
        };
        check_one(ProjectorConfig::AvgPool(pool(4)), None);
        check_one(ProjectorConfig::Ldpv2(pool(6)), None);
        check_one(ProjectorConfig::AvgPool(pool(7)), Some("cells a side"));
        check_one(ProjectorConfig::Ldpv2(pool(0)), Some("cells a side"));
        let resampler = |n_heads| {
            ProjectorConfig::Resampler(ResamplerConfig {
                grid: 6,
                side: 3,
                d_vision: 24,
                d_text: 40,
                n_heads,
            })
        };
        assert_eq!(resampler(4).n_visual(), 9);
        check_one(resampler(4), None);
        check_one(resampler(3), Some("n_heads"));
    }

    #[test]
    fn a_package_that_names_no_levels_injects_all() {
        let json = serde_json::to_value(ProjectorConfig::Ltc(ltc())).expect("it is plain data");
        assert!(json.get("inject_levels").is_none());
        let read: ProjectorConfig = serde_json::from_value(json).expect("it was written above");
        assert_eq!(read, ProjectorConfig::Ltc(ltc()));
        assert_eq!(ltc().injected(), [0, 1, 2, 3]);
    }
}
