/** Shared by the scripts: paths, running programs, formatting times. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { setTimeout, clearTimeout } from "node:timers";
import { fileURLToPath } from "node:url";

/** Folder of the repository. */
export const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");

const isWindows = process.platform === "win32";
const toolsFolder = join(root, "target/tools/bin");

/** The environment of every program that is started from here. */
export const env = {
  ...process.env,
  PATH: [toolsFolder, process.env.PATH ?? ""].join(delimiter),
};
// RUSTFLAGS would replace the flags of .cargo/config.toml, which the wasm needs.
delete env.RUSTFLAGS;

/** An error without a stack trace: its message says what to do. */
export class Problem extends Error {}

/** Runs `main` and prints a {@link Problem} that it throws. */
export async function runMain(main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    console.error(`\n${error.message}`);
    process.exitCode = 1;
  }
}

/** The output of a program, or `undefined` where it is missing or fails. */
export function output(program, args) {
  const done = spawnSync(program, args, { cwd: root, env, encoding: "utf8" });
  return done.status === 0 ? done.stdout.trim() : undefined;
}

/** Path of a program on the search path. */
export function which(program) {
  for (const folder of env.PATH.split(delimiter)) {
    const path = join(folder, isWindows ? `${program}.exe` : program);
    if (folder && existsSync(path)) return path;
  }
  return undefined;
}

/** Runs a program in the foreground. */
export function run(program, args, options = {}) {
  console.log(`\n$ ${[program, ...args].join(" ")}`);
  const done = spawnSync(program, args, { cwd: root, env, stdio: "inherit", ...options });
  if (done.error) throw new Problem(`${program} could not be started: ${done.error.message}`);
  if (done.signal) throw new Problem(`${program} was ended by ${done.signal}`);
  if (done.status !== 0) throw new Problem(`${program} failed with status ${done.status}`);
}

/** Program and first arguments that run npm, also outside of an npm script. */
export function npm() {
  const script = env.npm_execpath;
  if (script && /npm-cli\.js$/.test(script)) return [process.execPath, [script]];
  return isWindows ? ["cmd", ["/c", "npm"]] : ["npm", []];
}

/** Program and arguments that run the command `name` of an installed npm package. */
export function nodeBin(packageFile, args) {
  return [process.execPath, [join(root, "node_modules", packageFile), ...args]];
}

/**
 * Runs a program, forwards its output and returns it with the exit status. After `limitMinutes` the
 * program and its children are killed.
 */
export function runAndRead(program, args, { extraEnv = {}, limitMinutes = 30 } = {}) {
  return new Promise((done) => {
    const child = spawn(program, args, {
      cwd: root,
      env: { ...env, ...extraEnv },
      stdio: ["ignore", "pipe", "pipe"],
      // A process group, so that its children can be killed, too.
      detached: !isWindows,
    });
    let text = "";
    const take = (stream) => (chunk) => {
      text += chunk;
      stream.write(chunk);
    };
    child.stdout.on("data", take(process.stdout));
    child.stderr.on("data", take(process.stderr));

    const end = () => {
      try {
        if (isWindows) child.kill();
        else process.kill(-child.pid, "SIGKILL");
      } catch {
        // It has ended already.
      }
    };
    const interrupted = (signal) => {
      end();
      console.log(`\nended by ${signal}`);
      process.exit(130);
    };
    const timer = setTimeout(
      () => {
        console.log(`\nended after ${limitMinutes} minutes`);
        end();
      },
      limitMinutes * 60 * 1000,
    );
    process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
    let isDone = false;
    const finish = (status) => {
      if (isDone) return;
      isDone = true;
      clearTimeout(timer);
      process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
      done({ status, text });
    };
    child.on("error", (error) => {
      console.log(`${program} could not be started: ${error.message}`);
      finish(127);
    });
    child.on("close", (status) => {
      finish(status ?? 1);
    });
  });
}

/** A readable time, e.g. `840 ms`, `12.3 s` or `4 min 5 s`. */
export function formatTime(ms) {
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const secs = Math.round(ms / 1000);
  return `${Math.floor(secs / 60)} min ${secs % 60} s`;
}

/** The median. */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
