// The generated module is git-ignored. Where it has not been built yet, this stands in for its
// types, so that the sources can be checked without it.
declare module "*/wasm/vmad_web.js";
