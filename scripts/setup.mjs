/**
 * Installs what a fresh machine lacks, and does nothing on one that has it. As a program: `node
 * scripts/setup.mjs [--tests]`.
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { env, nodeBin, npm, output, Problem, root, run, runMain, which } from "./lib.mjs";

const WASM_TARGET = "wasm32-unknown-unknown";
const CHROMIUM_NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const VULKAN_FOLDERS = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

/** Inputs of the built page. */
const PAGE_INPUTS = ["www/app", "www/lib", "models", "vite.config.ts", "package-lock.json"];
const PAGE_FOLDER = "www/dist";
const PAGE_STAMP = "target/page.stamp";

/** Installs everything that building and serving the page needs. */
export function setUp() {
  checkVersions();
  addWasmTarget();
  installNpmPackages();
}

/** Checks Node and Rust, which the set-up cannot install. */
function checkVersions() {
  const { engines } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const wantedNode = engines.node.replace(/[^\d.]/g, "");
  if (isOlder(process.versions.node, wantedNode)) {
    throw new Problem(
      `Node ${process.versions.node} is too old, ${wantedNode} is needed: https://nodejs.org`,
    );
  }
  const manifest = readFileSync(join(root, "Cargo.toml"), "utf8");
  const wantedRust = /^rust-version = "(.*)"$/m.exec(manifest)?.[1] ?? "1.95";
  const rust = /^rustc ([\d.]+)/.exec(output("rustc", ["--version"]) ?? "")?.[1];
  if (!rust || !output("cargo", ["--version"])) {
    throw new Problem("Rust is missing. Install it from https://rustup.rs and open a new shell.");
  }
  if (isOlder(rust, wantedRust)) {
    throw new Problem(`Rust ${rust} is too old, ${wantedRust} is needed: run \`rustup update\`.`);
  }
}

function isOlder(version, wanted) {
  const parts = version.split(".").map(Number);
  for (const [index, part] of wanted.split(".").map(Number).entries()) {
    if ((parts[index] ?? 0) !== part) return (parts[index] ?? 0) < part;
  }
  return false;
}

function addWasmTarget() {
  const folder = output("rustc", ["--print", "target-libdir", "--target", WASM_TARGET]);
  if (folder && existsSync(folder)) return;
  if (!which("rustup")) {
    throw new Problem(
      `Rust's target ${WASM_TARGET} is missing and there is no rustup to add it. ` +
        "Install the target from where this Rust came, or take Rust from https://rustup.rs.",
    );
  }
  run("rustup", ["target", "add", WASM_TARGET]);
}

function installNpmPackages() {
  const installed = join(root, "node_modules/.package-lock.json");
  const isFresh =
    existsSync(installed) &&
    statSync(installed).mtimeMs >= statSync(join(root, "package-lock.json")).mtimeMs;
  if (isFresh) return;
  const [program, args] = npm();
  run(program, [...args, "ci", "--no-fund", "--no-audit"]);
}

/** Builds the generated module in `www/lib/wasm`; does nothing if it is up to date. */
export function buildWasm() {
  console.log("\nThe engine: cargo xtask wasm (the first time takes about a quarter of an hour)");
  run("cargo", ["xtask", "wasm"]);
}

/** Builds the page in `www/dist`, unless its inputs are unchanged. */
export function buildPage() {
  const stamp = fingerprint(PAGE_INPUTS);
  const stampFile = join(root, PAGE_STAMP);
  const isFresh =
    existsSync(join(root, PAGE_FOLDER, "index.html")) &&
    existsSync(stampFile) &&
    readFileSync(stampFile, "utf8") === stamp;
  if (isFresh) return;
  rmSync(stampFile, { force: true });
  run(...nodeBin("vite/bin/vite.js", ["build"]));
  mkdirSync(join(root, "target"), { recursive: true });
  writeFileSync(stampFile, stamp);
}

/** A hash over names, sizes and times of all files under `paths`. */
function fingerprint(paths) {
  const hash = createHash("sha256");
  const visit = (path) => {
    const full = join(root, path);
    if (!existsSync(full)) return;
    const status = statSync(full);
    if (status.isDirectory()) {
      for (const name of readdirSync(full).sort()) visit(`${path}/${name}`);
    } else {
      hash.update(`${path} ${status.size} ${status.mtimeMs}\n`);
    }
  };
  paths.forEach(visit);
  return hash.digest("hex");
}

/**
 * What the tests need beyond {@link setUp}, and, for those `inBrowser`, the runner of wasm tests and
 * cargo-deny. Throws a {@link Problem} that names what is missing.
 */
export function setUpTests(inBrowser) {
  const components = ["clippy", "fmt"].filter((name) => !output("cargo", [name, "--version"]));
  if (components.length > 0) {
    const names = components.map((name) => (name === "fmt" ? "rustfmt" : name));
    run("rustup", ["component", "add", ...names]);
  }
  if (inBrowser) {
    const version = lockedVersion("wasm-bindgen");
    if (output(WASM_TEST_RUNNER, ["--version"]) !== `${WASM_TEST_RUNNER} ${version}`) {
      const exact = ["--version", `=${version}`, "--bin", WASM_TEST_RUNNER];
      installProgram("wasm-bindgen-cli", ["--force", ...exact]);
    }
    if (!output("cargo", ["deny", "--version"])) installProgram("cargo-deny");
  }
  installSystemPackages();
}

/** The program that runs wasm tests in a browser; it comes with `wasm-bindgen-cli`. */
export const WASM_TEST_RUNNER = "wasm-bindgen-test-runner";

/** The version of a crate in Cargo.lock. */
function lockedVersion(crate) {
  const lock = readFileSync(join(root, "Cargo.lock"), "utf8").replaceAll("\r\n", "\n");
  const version = lock.split(`name = "${crate}"\nversion = "`)[1]?.split('"')[0];
  if (!version) throw new Problem(`Cargo.lock holds no ${crate}.`);
  return version;
}

/** Installs a program for the tests into `target/tools`. */
function installProgram(crate, args = []) {
  // Without --locked: a version that its lock file pins may have left the registry. Without
  // optimisation: the programs run for seconds, optimising them takes minutes.
  run("cargo", ["install", crate, "--debug", ...args, "--root", "target/tools"], {
    env: { ...env, CARGO_PROFILE_DEV_DEBUG: "false" },
  });
}

/** Paths of the browser and its driver, `undefined` where there is none. */
export function browser() {
  const named = CHROMIUM_NAMES.map(which).find(Boolean);
  return {
    chromium: env.CHROMIUM ?? named,
    driver: env.CHROMEDRIVER ?? which("chromedriver"),
  };
}

/** True if native GPU tests can run on a machine without a GPU. */
export function hasSoftwareVulkan() {
  return VULKAN_FOLDERS.some(
    (folder) => existsSync(folder) && readdirSync(folder).some((name) => name.startsWith("lvp_")),
  );
}

/** Chromium and its driver; on Linux also a Vulkan that runs on the CPU. */
function installSystemPackages() {
  const isLinux = process.platform === "linux";
  const missing = () => {
    const { chromium, driver } = browser();
    return [
      ...(chromium ? [] : ["chromium"]),
      ...(driver ? [] : ["chromium-driver"]),
      ...(isLinux && !hasSoftwareVulkan() ? ["mesa-vulkan-drivers", "libvulkan1"] : []),
    ];
  };
  let packages = missing();
  if (packages.length === 0) return;
  const sudo = asRoot();
  if (which("apt-get") && sudo) {
    const apt = (...args) => {
      const [program, ...rest] = [...sudo, "apt-get", ...args];
      run(program, rest, { env: { ...env, DEBIAN_FRONTEND: "noninteractive" } });
    };
    try {
      apt("update");
      apt("install", "--yes", "--no-install-recommends", ...packages);
    } catch (error) {
      console.error(error.message);
    }
    packages = missing();
    if (packages.length === 0) return;
  }
  throw new Problem(
    `The tests need packages that could not be installed: ${packages.join(", ")}.\n` +
      "Install Chromium and the chromedriver of the same version" +
      (isLinux ? ", and Mesa's Vulkan drivers (lavapipe)" : "") +
      ". Programs in other places are found\nthrough the variables CHROMIUM and CHROMEDRIVER.",
  );
}

/** The prefix of a command that runs as root, `undefined` if it would ask for a password. */
function asRoot() {
  if (process.getuid?.() === 0) return [];
  return which("sudo") && output("sudo", ["-n", "true"]) !== undefined ? ["sudo", "-n"] : undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await runMain(() => {
    setUp();
    buildWasm();
    if (process.argv.includes("--tests")) setUpTests(true);
  });
}
