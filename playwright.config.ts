import { defineConfig } from "@playwright/test";

/**
 * Where the production build is served, the same page with the fake engine of `tests/web/fake`, and
 * a page of another site that embeds the library.
 */
const PAGE_PORT = 4173;
const FAKE_PORT = 4174;
const EMBED_PORT = 4176;
const EMBED_CONFIG = "tests/web/embed/vite.config.ts";
const FAKE_CONFIG = "tests/web/fake/vite.config.ts";

export default defineConfig({
  testDir: "tests/web",
  testMatch: "*.spec.ts",
  outputDir: "test-results/e2e",
  // Two cores: pages that compute side by side only slow each other down.
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
      use: { baseURL: `http://localhost:${EMBED_PORT}/` },
    },
    {
      name: "page",
      testMatch: "page.spec.ts",
      use: { baseURL: `http://localhost:${PAGE_PORT}/` },
    },
    {
      name: "states",
      testMatch: ["states.spec.ts", "calibration.spec.ts"],
      use: { baseURL: `http://localhost:${FAKE_PORT}/` },
    },
  ],
  webServer: [
    {
      command: `npm run build:lib && npx vite preview -c ${EMBED_CONFIG} --strictPort --port ${EMBED_PORT}`,
      port: EMBED_PORT,
    },
    {
      command: `npx vite build && npx vite preview --strictPort --port ${PAGE_PORT}`,
      port: PAGE_PORT,
    },
    {
      command: `npx vite build -c ${FAKE_CONFIG} && npx vite preview -c ${FAKE_CONFIG} --strictPort --port ${FAKE_PORT}`,
      port: FAKE_PORT,
    },
  ],
});
