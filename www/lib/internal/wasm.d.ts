// The generated module is git-ignored. This declaration replaces its types until it has been built,
// so that the sources can be type-checked without it.
declare module "*/wasm/vmad_web.js";
