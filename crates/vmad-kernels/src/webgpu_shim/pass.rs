//! The precompile pass: launches that compile pipelines and compute nothing.

use burn_cubecl::cubecl::dry_run::DryRun;
use js_sys::Reflect;

use super::js;
use crate::error::KernelError;

/// While it exists, launches belong to a precompile pass. It must not exist across an `await`.
pub(crate) struct PassScope {
    /// cubecl creates the pipeline of a launch and drops the launch.
    _dry_run: DryRun,
}

impl PassScope {
    pub(crate) fn enter() -> Self {
        js::set_precompiling(true);
        Self {
            _dry_run: DryRun::new(),
        }
    }
}

impl Drop for PassScope {
    fn drop(&mut self) {
        js::set_precompiling(false);
    }
}

/// Waits for the pipelines that passes have requested; their number.
pub(crate) async fn compiled_pipelines() -> Result<usize, KernelError> {
    let outcome = js::compiled_pipelines().await;
    let count = outcome.map_err(|error| {
        let message = Reflect::get(&error, &"message".into());
        let message = message.ok().and_then(|message| message.as_string());
        KernelError::Pipeline {
            reason: message.unwrap_or_else(|| format!("{error:?}")),
        }
    })?;
    Ok(count.as_f64().unwrap_or_default() as usize)
}
