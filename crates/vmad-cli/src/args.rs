//! Options that several commands share, and parsers of their values.

use clap::{Args, ValueEnum};
use vmad_engine::{Ask, DeviceChoice, Generation};

/// An invalid combination of arguments: exit status 2, like clap's own errors.
#[derive(Debug)]
pub(crate) struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Device to compute on.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DeviceArg {
    /// A hardware GPU if there is one, otherwise the CPU
    Auto,
    /// The CPU
    Cpu,
    /// A GPU, even one that is emulated on the CPU
    Gpu,
}

impl From<DeviceArg> for DeviceChoice {
    fn from(device: DeviceArg) -> Self {
        match device {
            DeviceArg::Auto => Self::Auto,
            DeviceArg::Cpu => Self::Cpu,
            DeviceArg::Gpu => Self::Gpu,
        }
    }
}

/// What the user knows about the part before the inspection.
#[derive(Clone, Debug, Args)]
pub(crate) struct PartArgs {
    /// Name of the object, e.g. "bolt"
    #[arg(long, value_name = "NAME")]
    pub object: Option<String>,
    /// Description of a good part, in a sentence
    #[arg(long, value_name = "TEXT")]
    pub normal: Option<String>,
}

/// Upper limit of `--max-new-tokens`; the model's context is shorter.
const MAX_TOKENS: i64 = 65_536;

/// Limit of an answer's length.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct AnswerLength {
    /// Maximum number of tokens of an answer
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_TOKENS))]
    pub max_new_tokens: Option<u32>,
}

impl AnswerLength {
    /// The engine's settings. Without `--max-new-tokens` the limit is `default`, or the engine's own.
    pub fn generation(self, default: Option<usize>) -> Generation {
        let mut generation = Generation::default();
        let requested = self.max_new_tokens.map(|n| n as usize);
        if let Some(n) = requested.or(default) {
            generation.max_new_tokens = n;
        }
        generation
    }
}

/// Parses `description`, `impact`, `suggestion`, or a question.
pub(crate) fn parse_ask(text: &str) -> Result<Ask, String> {
    match text.trim() {
        "" => Err("the question is empty".to_owned()),
        "description" => Ok(Ask::Description),
        "impact" => Ok(Ask::Impact),
        "suggestion" => Ok(Ask::Suggestion),
        _ => Ok(Ask::Free(text.to_owned())),
    }
}

/// A number that is neither NaN nor infinite.
pub(crate) fn finite(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) => Err("it must be a finite number".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A number from 0 to 1.
pub(crate) fn share(text: &str) -> Result<f32, String> {
    match finite(text)? {
        value if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("it must lie between 0 and 1".to_owned()),
    }
}

/// A number above 0 and below 1.
pub(crate) fn inner_share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value < 1.0 => Ok(value),
        Ok(_) => Err("it must be above 0 and below 1".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions() {
        assert_eq!(parse_ask("impact"), Ok(Ask::Impact));
        assert_eq!(
            parse_ask("Is it ok?"),
            Ok(Ask::Free("Is it ok?".to_owned()))
        );
        assert!(parse_ask(" \n").is_err());
    }

    #[test]
    fn numbers() {
        for (text, in_share, is_inner, is_finite) in [
            ("0.5", true, true, true),
            ("1", true, false, true),
            ("0", true, false, true),
            ("-0.1", false, false, true),
            ("1.01", false, false, true),
            ("NaN", false, false, false),
            ("inf", false, false, false),
            ("x", false, false, false),
        ] {
            assert_eq!(share(text).is_ok(), in_share, "{text}");
            assert_eq!(inner_share(text).is_ok(), is_inner, "{text}");
            assert_eq!(finite(text).is_ok(), is_finite, "{text}");
        }
    }
}
