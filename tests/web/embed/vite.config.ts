import { resolve } from "node:path";
import { defineConfig } from "vite";

/** Serves the files of the repository unbundled, as a static server does. */
export default defineConfig({
  build: { outDir: resolve(import.meta.dirname, "../../..") },
  appType: "mpa",
});
