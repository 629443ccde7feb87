import { chromium } from "playwright-core";
import { readdirSync, existsSync, readFileSync } from "node:fs";
const args = JSON.parse(readFileSync("crates/vmad-web/webdriver.json", "utf8"))["goog:chromeOptions"].args.filter((a) => !a.startsWith("--headless"));
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args });
const page = await browser.newPage();
page.on("pageerror", (e) => console.error("ERR", e.message));
page.on("console", (m) => console.log("LOG", m.text().slice(0, 300)));
const files = readdirSync("models/tiny").filter((f) => !f.endsWith(".md") && !f.includes("toml"));
await page.route("http://localhost:4999/**", async (route) => {
  const p = new URL(route.request().url()).pathname;
  if (p === "/") return route.fulfill({ body: "<html></html>", contentType: "text/html" });
  const path = p.startsWith("/vmad/") ? "target/vmad-bench/" + p.slice(6) : "models/tiny/" + p.slice(7);
  if (!existsSync(path)) return route.fulfill({ status: 404 });
  await route.fulfill({ path, contentType: p.endsWith(".js") ? "text/javascript" : p.endsWith(".wasm") ? "application/wasm" : "application/octet-stream" });
});
await page.addInitScript(() => {
  const log = (globalThis.glog = []);
  const code = new WeakMap(), pcode = new WeakMap();
  const D = GPUDevice.prototype;
  const sm = D.createShaderModule; D.createShaderModule = function (d) { const m = sm.call(this, d); code.set(m, d.code); return m; };
  const cp = D.createComputePipeline; D.createComputePipeline = function (d) { const p = cp.call(this, d); pcode.set(p, code.get(d.compute.module)); return p; };
  const P = GPUComputePassEncoder.prototype; let cur = new WeakMap();
  const sp = P.setPipeline; P.setPipeline = function (p) { cur.set(this, p); return sp.call(this, p); };
  const dw = P.dispatchWorkgroups; P.dispatchWorkgroups = function (...a) { const c = pcode.get(cur.get(this)); log.push([c, a.join("x")]); if (globalThis.gtriple && c.includes(globalThis.gtriple)) { dw.apply(this, a); dw.apply(this, a); } return dw.apply(this, a); };
});
await page.goto("http://localhost:4999/");
const cfg = await page.evaluate(async (files) => {
  const m = await import("/vmad/vmad_bench.js");
  await m.default();
  const source = new m.Package();
  for (const f of files) source.add(f, new Uint8Array(await (await fetch("/model/" + f)).arrayBuffer()));
  globalThis.model = await m.Model.load(true, source);
  return (await (await fetch("/model/model.json")).json()).config;
}, files);

const CLASSES = { base: null, product: "fn four_at", attention: "fn visible", matmul_f32: "first_row + row + i < rows", norm: "fn sum_over_lanes", cells: "is_inside", batch: "variance[channel]", gate: "from_row", relpos: "is_column" , cube: "inv_return_flag" };
const r = (what) => page.evaluate(async ([what, side, sside, prior]) => {
  const r = (k) => Float32Array.from({ length: k }, () => Math.random() - 0.5);
  const px = r(3 * side * side), pr = r(prior), sp = r(3 * sside * sside);
  const times = [];
  for (let i = 0; i < 4; i++) {
    const t = performance.now();
    if (what === "clip") await globalThis.model.clip(px, pr);
    else if (what === "sam") await globalThis.model.sam(sp);
    else await globalThis.model.prefill(Int32Array.from({ length: 256 }, (_, i) => i));
    times.push(performance.now() - t);
  }
  return Math.min(...times);
}, [what, cfg.clip.image_size, cfg.sam.image_size, 4 * 64 * 64]);
for (const what of ["clip", "sam", "prefill"]) {
  await page.evaluate(() => { globalThis.gtriple = null; });
  await r(what);
  let base;
  for (const [name, sig] of Object.entries(CLASSES)) {
    await page.evaluate((x) => { globalThis.gtriple = x; }, sig);
    const t = await r(what);
    if (sig === null) { base = t; console.log(what, "base", t.toFixed(0)); } else console.log("   ", name, ((t - base) / 2).toFixed(0));
  }
}
await browser.close();
