//! The operations on cubecl backends: each launches hand-written WGSL (`shaders/`).

mod attention;
mod deformable;
mod dense;
mod kv;
mod launch;
mod linear;
mod norm;
mod region;
mod sample;
mod shaders;
mod stem;

#[cfg(test)]
mod tests;

pub(crate) use attention::MAX_HEAD_WIDTH as MAX_ATTENTION_WIDTH;
pub(crate) use shaders::MAX_HEAD_WIDTH as MAX_REGION_WIDTH;
