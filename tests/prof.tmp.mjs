import { chromium } from "playwright-core";
import { readFileSync, readdirSync, existsSync } from "node:fs";
const pw = chromium;
const browser = await pw.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage();
page.on("pageerror", (e) => console.error("ERR", e.message));
page.on("console", (m) => console.log("LOG", m.text()));
const files = readdirSync("models/tiny").filter((f) => !f.endsWith(".md") && !f.includes("toml"));
await page.route("http://x.test/**", async (route) => {
  const p = new URL(route.request().url()).pathname;
  if (p === "/") return route.fulfill({ body: "<html></html>", contentType: "text/html" });
  const path = p.startsWith("/vmad/") ? "target/vmad-bench/" + p.slice(6) : "models/tiny/" + p.slice(7);
  if (!existsSync(path)) return route.fulfill({ status: 404 });
  await route.fulfill({ path, contentType: p.endsWith(".js") ? "text/javascript" : p.endsWith(".wasm") ? "application/wasm" : "application/octet-stream" });
});
await page.goto("http://x.test/");
const cfg = await page.evaluate(async (files) => {
  const m = await import("/vmad/vmad_bench.js");
  await m.default();
  const source = new m.Package();
  for (const f of files) source.add(f, new Uint8Array(await (await fetch("/model/" + f)).arrayBuffer()));
  globalThis.model = await m.Model.load(false, source);
  return (await (await fetch("/model/model.json")).json()).config;
}, files);
const what = process.argv[2] ?? "clip";
const side = cfg.clip.image_size, sside = cfg.sam.image_size ?? cfg.sam.encoder?.image_size ?? 256;
const n = Number(process.argv[3] ?? 20);
const cdp = await page.context().newCDPSession(page);
await cdp.send("Profiler.enable");
await cdp.send("Profiler.setSamplingInterval", { interval: 200 });
const go = (n) => page.evaluate(async ([what, n, side, sside, prior]) => {
  const r = (k) => Float32Array.from({ length: k }, () => Math.random() - 0.5);
  const px = r(3 * side * side), pr = r(prior), sp = r(3 * sside * sside), ids = Int32Array.from({ length: 256 }, (_, i) => (i * 7) % 200);
  const times = [];
  for (let i = 0; i < n; i++) {
    const t = performance.now();
    if (what === "clip") await globalThis.model.clip(px, pr);
    else if (what === "sam") await globalThis.model.sam(sp);
    else if (what === "prefill") await globalThis.model.prefill(ids);
    else { await globalThis.model.prefill(ids.slice(0,2)); for (let j = 0; j < 32; j++) await globalThis.model.step(5); }
    times.push(performance.now() - t);
  }
  times.sort((a, b) => a - b);
  return times[times.length >> 1];
}, [what, n, side, sside, Number(process.argv[4] ?? 4 * 32 * 32)]);
await go(5);
await cdp.send("Profiler.start");
console.log(what, "median", await go(n));
const { profile } = await cdp.send("Profiler.stop");
const self = new Map();
const byId = new Map(profile.nodes.map((x) => [x.id, x]));
let total = 0;
profile.samples.forEach((id, i) => {
  const f = byId.get(id).callFrame; const d = profile.timeDeltas[i] / 1000;
  const name = f.functionName || "(anon)";
  if (name === "(idle)" || name === "(program)") return;
  total += d; self.set(name, (self.get(name) ?? 0) + d);
});
for (const [k, v] of [...self].sort((a, b) => b[1] - a[1]).slice(0, 22)) console.log((v / n).toFixed(2).padStart(7), "ms", k.slice(0, 150));
await browser.close();
