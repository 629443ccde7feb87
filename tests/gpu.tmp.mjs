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
  const dw = P.dispatchWorkgroups; P.dispatchWorkgroups = function (...a) { log.push([pcode.get(cur.get(this)), a.join("x")]); return dw.apply(this, a); };
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
for (const what of ["clip", "sam", "prefill", "step"]) {
  const log = await page.evaluate(async ([what, side, sside, prior]) => {
    const r = (k) => Float32Array.from({ length: k }, () => Math.random() - 0.5);
    if (what === "step") await globalThis.model.prefill(Int32Array.from({ length: 256 }, (_, i) => i));
    globalThis.glog.length = 0;
    if (what === "clip") await globalThis.model.clip(r(3 * side * side), r(prior));
    else if (what === "sam") await globalThis.model.sam(r(3 * sside * sside));
    else if (what === "prefill") await globalThis.model.prefill(Int32Array.from({ length: 256 }, (_, i) => i));
    else await globalThis.model.step(5);
    return globalThis.glog;
  }, [what, cfg.clip.image_size, cfg.sam.image_size, 4 * 64 * 64]);
  console.log("==", what, log.length);
  const short = (c) => {
    const own = c.match(/^\/\/ (.*)/);
    if (own) return "OURS " + own[1].slice(0, 90);
    const body = c.replace(/\s+/g, " ");
    return "CUBE " + body.slice(-230);
  };
  const seq = process.argv[2] === "seq";
  if (seq) { for (const [c, d] of log) console.log("  ", d, short(c)); continue; }
  const n = new Map();
  for (const [c, d] of log) { const k = short(c); n.set(k, (n.get(k) ?? 0) + 1); }
  for (const [k, v] of [...n].sort((a, b) => b[1] - a[1])) console.log(String(v).padStart(4), k);
}
await browser.close();
