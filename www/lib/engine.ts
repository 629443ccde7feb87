/**
 * What the wasm module offers, as the worker uses it. The generated module types structured values
 * as `any`; this is the one place that says what they are.
 */
import type {
  CalibrateEvent,
  CalibrationOptions,
  CalibrationPhoto,
  DeviceInfo,
  Generation,
  InspectEvent,
  Query,
  Report,
} from "./protocol.js";

/** Receives the engine's events while a call runs. */
export type OnEvent<E = InspectEvent> = (event: E) => void;

/** Hands out one photograph after the other, `null` after the last one. */
export type NextPhoto = () => Promise<CalibrationPhoto | null>;

/** One session of the engine. Calls must not overlap, except for `cancel`. */
export interface WasmInspector {
  inspect(image: Uint8Array, query: Query, onEvent: OnEvent): Promise<void>;
  ask(question: string, options: Generation, onEvent: OnEvent): Promise<void>;
  calibrate(
    next: NextPhoto,
    options: CalibrationOptions,
    onEvent: OnEvent<CalibrateEvent>,
  ): Promise<void>;
  /** Has a hardware GPU compile ahead what an inspection runs; whether there was anything to do. */
  warmUp(): Promise<boolean>;
  cancel(): void;
  report(): Report;
  device(): DeviceInfo;
}

/** The module: `default` fetches and compiles the WebAssembly. */
export interface EngineModule {
  default(): Promise<unknown>;
  WasmInspector: {
    open(packageUrl: string, device: string, onEvent: OnEvent): Promise<WasmInspector>;
  };
}
