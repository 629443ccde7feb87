/** Free ports for the servers of the tests, so that they run beside `npm start` or each other. */
import { once } from "node:events";
import { createServer } from "node:net";

/** Holds the ports for the processes that Playwright starts: each of them loads its configuration. */
const VARIABLE = "VMAD_TEST_PORTS";

/** `count` ports that are free now; the same ones in every process of one test run. */
export async function freePorts(count: number): Promise<number[]> {
  process.env[VARIABLE] ??= (await findFreePorts(count)).join(" ");
  return process.env[VARIABLE].split(" ").map(Number);
}

/** Lets the system choose ports. All are held until the last is known, so that they differ. */
async function findFreePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "localhost"));
  const ports: number[] = [];
  for (const server of servers) {
    if (!server.listening) await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port is free");
    ports.push(address.port);
  }
  for (const server of servers) {
    server.close();
    await once(server, "close");
  }
  return ports;
}
