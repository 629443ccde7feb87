//! What can be set about DSSL.

use serde::{Deserialize, Serialize};

use super::pbsd::Support;

/// Settings of DSSL; the defaults are those of §8.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DsslConfig {
    /// Weight of the loss in the objective (6), λ_ds. DSCL has 1.5; worth trying: 0.1, 0.5, 1.5.
    pub weight: f64,
    /// Steps before the loss counts. The memory fills from the first.
    pub warmup_steps: u64,
    /// Patches of a picture, K.
    pub n_boxes: usize,
    /// Temperature of the similarity distributions, τ.
    pub temperature: f64,
    /// Over which entries of the memory (18) sums.
    pub pbsd_support: Support,
    /// Entries that the memory keeps of each class, normal and abnormal ones each.
    pub queue: usize,
    /// Normal entries that a class needs before its loss counts; one abnormal entry is needed, too.
    pub min_normal: usize,
    /// The visual head g.
    pub head: VisualHead,
    /// Weight of the contrastive loss beside (18), for [`VisualHead::Dscl`].
    pub contrastive: f64,
    /// What makes pictures one class.
    pub class_key: ClassKey,
}

impl Default for DsslConfig {
    fn default() -> Self {
        Self {
            weight: 0.5,
            warmup_steps: 200,
            n_boxes: 5,
            temperature: 0.07,
            pbsd_support: Support::Positives,
            queue: 64,
            min_normal: 4,
            head: VisualHead::Centred,
            contrastive: 1.0,
            class_key: ClassKey::Object,
        }
    }
}

impl DsslConfig {
    /// Whether the loss counts at `step`, counted from 0.
    #[must_use]
    pub fn counts_at(&self, step: u64) -> bool {
        self.weight > 0.0 && step >= self.warmup_steps
    }

    /// The class of a picture of `object`.
    #[must_use]
    pub fn class_of(&self, object: &str) -> String {
        match self.class_key {
            ClassKey::Object => object.to_owned(),
            ClassKey::Any => String::new(),
        }
    }

    /// The first setting that cannot be used, in words.
    ///
    /// # Errors
    /// What is wrong and what would do.
    pub fn validate(&self) -> Result<(), String> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let problem = if !(self.weight.is_finite() && self.weight >= 0.0) {
            format!("weight is {}; 0 or more is needed", self.weight)
        } else if !positive(self.temperature) {
            format!("temperature is {}; more than 0 is needed", self.temperature)
        } else if !(self.contrastive.is_finite() && self.contrastive >= 0.0) {
            format!("contrastive is {}; 0 or more is needed", self.contrastive)
        } else if self.n_boxes == 0 || self.n_boxes > 64 {
            format!("n_boxes is {}; 1 to 64 is needed", self.n_boxes)
        } else if self.min_normal == 0 || self.queue < self.min_normal || self.queue > 1 << 16 {
            format!(
                "queue is {} and min_normal {}; 1 <= min_normal <= queue <= 65536 is needed",
                self.queue, self.min_normal
            )
        } else {
            return Ok(());
        };
        Err(format!("dssl.{problem}"))
    }
}

/// The visual head g of (8) and (9). The loss (18) gives it no gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VisualHead {
    /// Subtracts the running mean of each channel; nothing to learn.
    #[default]
    Centred,
    /// DSCL's: linear, ReLU, linear to 128, learned by contrasting normal with abnormal pictures.
    Dscl,
}

/// What makes pictures one class c of (10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassKey {
    /// The name of the object.
    #[default]
    Object,
    /// All pictures are one class.
    Any,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        let parse = |text: &str| toml::from_str::<DsslConfig>(text);
        assert_eq!(parse("").ok(), Some(DsslConfig::default()));
        let other =
            parse("pbsd_support = \"all\"\nhead = \"dscl\"\nclass_key = \"any\"\nqueue = 9");
        let expected = DsslConfig {
            pbsd_support: Support::All,
            head: VisualHead::Dscl,
            class_key: ClassKey::Any,
            queue: 9,
            ..DsslConfig::default()
        };
        assert_eq!(other.ok(), Some(expected.clone()));
        assert_eq!(
            expected.class_of("bolt"),
            DsslConfig::default().class_of("")
        );
        assert!(parse("lambda = 1.0").is_err());
    }

    #[test]
    fn unusable_settings_are_named() {
        fn check(text: &str, named: Option<&str>) {
            let config: DsslConfig = toml::from_str(text).expect("a test's settings parse");
            let problem = config.validate().err();
            match (named, &problem) {
                (None, None) => {}
                (Some(named), Some(problem)) => assert!(problem.contains(named), "{problem}"),
                _ => panic!("{text}: {problem:?}"),
            }
        }
        check("", None);
        check("weight = 0.0", None);
        check("weight = -1.0", Some("dssl.weight is -1"));
        check("temperature = 0.0", Some("temperature is 0"));
        check("temperature = nan", Some("temperature is NaN"));
        check("n_boxes = 0", Some("n_boxes is 0"));
        check("queue = 3", Some("queue is 3"));
        check("contrastive = -0.5", Some("contrastive is -0.5"));
    }

    #[test]
    fn the_loss_counts_after_the_warm_up() {
        let config = DsslConfig::default();
        assert!(!config.counts_at(199));
        assert!(config.counts_at(200));
        let off = DsslConfig {
            weight: 0.0,
            ..config
        };
        assert!(!off.counts_at(1000));
    }
}
