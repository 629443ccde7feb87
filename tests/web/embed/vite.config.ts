import { resolve } from "node:path";
import { defineConfig } from "vite";

/** Serves the repository as it lies on the disk, as any static server would: nothing is bundled. */
export default defineConfig({
  build: { outDir: resolve(import.meta.dirname, "../../..") },
  appType: "mpa",
});
