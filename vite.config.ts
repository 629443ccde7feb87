import { createHash } from "node:crypto";
import { createReadStream, cpSync, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join, resolve, sep } from "node:path";
import { defineConfig, type Plugin } from "vite";

const modelsFolder = resolve(import.meta.dirname, "models");
const MODEL_JSON = "model.json";

/** An entry of `models/index.json`: the page lists a package by it before it fetches any file. */
interface ModelEntry {
  id: string;
  name: string;
  description: string;
  bytes: number;
  /** Changes with the weights and the temperature, after which scores are not comparable. */
  fingerprint: string;
}

interface Manifest {
  name?: string;
  description?: string;
  tokenizer?: { file?: string; bytes?: number };
  shards?: { file?: string; bytes?: number; sha256?: string }[];
  threshold?: { temperature?: number };
}

/** Digits of a fingerprint; enough to distinguish the versions of a few models. */
const FINGERPRINT_DIGITS = 16;

function fingerprintOf({ shards, threshold }: Manifest): string {
  const hash = createHash("sha256");
  for (const { sha256 } of shards ?? []) hash.update(sha256 ?? "");
  hash.update(String(threshold?.temperature));
  return hash.digest("hex").slice(0, FINGERPRINT_DIGITS);
}

/** Lists all package folders, with `tiny` first, because the page opens the first one. */
function listModels(): ModelEntry[] {
  if (!existsSync(modelsFolder)) return [];
  return readdirSync(modelsFolder)
    .filter((id) => existsSync(join(modelsFolder, id, MODEL_JSON)))
    .sort((a, b) => Number(b === "tiny") - Number(a === "tiny") || a.localeCompare(b))
    .map((id) => {
      const manifest = JSON.parse(
        readFileSync(join(modelsFolder, id, MODEL_JSON), "utf8"),
      ) as Manifest;
      const shardBytes = (manifest.shards ?? []).reduce((sum, s) => sum + (s.bytes ?? 0), 0);
      return {
        id,
        name: manifest.name ?? id,
        description: manifest.description ?? "",
        bytes: shardBytes + (manifest.tokenizer?.bytes ?? 0),
        fingerprint: fingerprintOf(manifest),
      };
    });
}

/** The files of one package, and its model card. */
function packageFiles(id: string): string[] {
  const manifest = JSON.parse(readFileSync(join(modelsFolder, id, MODEL_JSON), "utf8")) as Manifest;
  const names = [manifest.tokenizer, ...(manifest.shards ?? [])].map((entry) => entry?.file);
  return [MODEL_JSON, "README.md", ...names].filter(
    (name): name is string => name !== undefined && existsSync(join(modelsFolder, id, name)),
  );
}

/** Serves `models/` under the page in development and copies it into a build. */
function models(): Plugin {
  let outFolder = "";
  const serve = (request: IncomingMessage, response: ServerResponse, next: () => void): void => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname);
    if (path === "/index.json") {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ models: listModels() }));
      return;
    }
    const file = resolve(modelsFolder, `.${path}`);
    if (!file.startsWith(modelsFolder + sep) || !existsSync(file) || !statSync(file).isFile()) {
      next();
      return;
    }
    const type = extname(file) === ".json" ? "application/json" : "application/octet-stream";
    response.setHeader("content-type", type);
    response.setHeader("content-length", statSync(file).size);
    createReadStream(file).pipe(response);
  };
  return {
    name: "vmad-models",
    configResolved(config) {
      outFolder = resolve(config.root, config.build.outDir, "models");
    },
    configureServer(server) {
      server.middlewares.use("/models", serve);
    },
    generateBundle() {
      this.emitFile({
        type: "asset",
        fileName: "models/index.json",
        source: JSON.stringify({ models: listModels() }),
      });
    },
    writeBundle() {
      for (const { id } of listModels()) {
        // Not what training needs, such as runs.toml.
        for (const file of packageFiles(id)) {
          cpSync(join(modelsFolder, id, file), join(outFolder, id, file));
        }
      }
    },
  };
}

export default defineConfig({
  root: resolve(import.meta.dirname, "www/app"),
  // Relative URLs, so that the build runs from any folder of any static server.
  base: "./",
  // A missing file is a 404 and not the page; otherwise a missing package would look damaged.
  appType: "mpa",
  plugins: [models()],
  worker: { format: "es" },
  build: {
    outDir: resolve(import.meta.dirname, "www/dist"),
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { fs: { allow: [import.meta.dirname] } },
});
