/** Builds the page with the fake engine. */
import { resolve } from "node:path";
import { mergeConfig, type Plugin } from "vite";
import page from "../../../vite.config.js";

const fake = resolve(import.meta.dirname, "module.ts");

const useFake = (): Plugin => ({
  name: "vmad-fake-engine",
  enforce: "pre",
  resolveId: (source) => (source.endsWith("/wasm/vmad_web.js") ? fake : undefined),
});

export default mergeConfig(page, {
  plugins: [useFake()],
  worker: { plugins: () => [useFake()] },
  build: { outDir: resolve(import.meta.dirname, "../../../test-results/fake-page") },
});
