/** `npm start`: builds what is out of date, then serves the page. */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Problem, root, runMain } from "./lib.mjs";
import { buildPage, buildWasm, setUp } from "./setup.mjs";

const HELP = `Usage: npm start -- [options]

Builds what is out of date and serves the page on this machine.
The first start takes about a quarter of an hour on two cores, later ones seconds.

  --port N      port (default 4173; the next free one if that is taken)
  --host NAME   address to listen on (default localhost)
  --dev         serve the sources and reload the page when they change
  --help        print this
`;
const OPTIONS = {
  port: { type: "string", default: "4173" },
  host: { type: "string", default: "localhost" },
  dev: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
};

await runMain(async () => {
  const { port, host, dev, help } = readOptions();
  if (help) {
    console.log(HELP);
    return;
  }
  setUp();
  buildWasm();
  if (!dev) buildPage();
  await serve(Number(port), host, dev);
});

function readOptions() {
  let values;
  try {
    ({ values } = parseArgs({ options: OPTIONS }));
  } catch (error) {
    throw new Problem(`${error.message}\n\n${HELP}`);
  }
  if (!/^\d{1,5}$/.test(values.port)) throw new Problem(`--port ${values.port} is no port`);
  return values;
}

async function serve(port, host, dev) {
  // Only now: a fresh machine has no Vite before the set-up.
  const vite = await import("vite");
  const configFile = join(root, "vite.config.ts");
  const server = dev
    ? await vite.createServer({ configFile, server: { port, host } })
    : await vite.preview({ configFile, preview: { port, host } });
  if (dev) await server.listen();
  console.log("\nOpen this address in a browser; Ctrl-C ends it.");
  server.printUrls();
  const end = () => {
    void server.close().finally(() => process.exit(0));
  };
  process.once("SIGINT", end).once("SIGTERM", end);
}
