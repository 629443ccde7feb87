/** The fake in the shape of the generated module, for builds that tests make of the page. */
import { fakeEngine } from "./engine.js";

const engine = fakeEngine(60);

export const WasmInspector = engine.WasmInspector;

export default (): Promise<unknown> => engine.default();
