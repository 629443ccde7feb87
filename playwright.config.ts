import { resolve } from "node:path";
import { defineConfig } from "@playwright/test";
import { freePorts } from "./tests/web/ports.js";

const EMBED_CONFIG = "tests/web/embed/vite.config.ts";
const FAKE_CONFIG = "tests/web/fake/vite.config.ts";
/** A folder of its own: `npm start` serves `www/dist` and may be running. */
const PAGE_FOLDER = resolve(import.meta.dirname, "test-results/page");

/**
 * Ports of a page of another site that embeds the library, of the production build, and of the same
 * page with the fake engine of `tests/web/fake`.
 */
const [embedPort = 0, pagePort = 0, fakePort = 0] = await freePorts(3);

export default defineConfig({
  testDir: "tests/web",
  testMatch: "*.spec.ts",
  outputDir: "test-results/e2e",
  // One worker: on two cores, pages that compute at the same time slow each other down.
  workers: 1,
  timeout: 90_000,
  expect: { timeout: 30_000 },
  forbidOnly: Boolean(process.env["CI"]),
  reporter: [["list"]],
  use: {
    viewport: { width: 1280, height: 1000 },
    launchOptions: {
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--enable-unsafe-webgpu",
        "--use-webgpu-adapter=swiftshader",
      ],
    },
  },
  projects: [
    {
      name: "embed",
      testMatch: "embed.spec.ts",
      use: { baseURL: `http://localhost:${embedPort}/` },
    },
    {
      name: "page",
      testMatch: "page.spec.ts",
      use: { baseURL: `http://localhost:${pagePort}/` },
    },
    {
      name: "states",
      testMatch: ["states.spec.ts", "calibration.spec.ts"],
      use: { baseURL: `http://localhost:${fakePort}/` },
    },
  ],
  webServer: [
    {
      command: `npm run build:lib && npx vite preview -c ${EMBED_CONFIG} --strictPort --port ${embedPort}`,
      port: embedPort,
    },
    {
      command: `npx vite build --outDir "${PAGE_FOLDER}" && npx vite preview --outDir "${PAGE_FOLDER}" --strictPort --port ${pagePort}`,
      port: pagePort,
    },
    {
      command: `npx vite build -c ${FAKE_CONFIG} && npx vite preview -c ${FAKE_CONFIG} --strictPort --port ${fakePort}`,
      port: fakePort,
    },
  ],
});
