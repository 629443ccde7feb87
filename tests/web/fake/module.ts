/** The fake engine with the exports of the generated module, for the page that the tests build. */
import { fakeEngine } from "./engine.js";

const engine = fakeEngine(60);

export const WasmInspector = engine.WasmInspector;

export default (): Promise<unknown> => engine.default();
