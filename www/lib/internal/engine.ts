/**
 * The interface of the wasm module, as the worker uses it. The generated module types structured
 * values as `any`; the types here replace them.
 */
import type {
  CalibrateEvent,
  CalibrationOptions,
  DeviceInfo,
  Generation,
  InspectEvent,
  Query,
  Report,
} from "../public/types.js";
import type { CalibrationPhoto } from "./protocol.js";

/** Receives the engine's events while a call runs. */
export type OnEvent<E = InspectEvent> = (event: E) => void;

/** Resolves to the next photograph of a calibration, and to `null` after the last one. */
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
  /**
   * Lets a hardware GPU compile the pipelines of an inspection and run one. Resolves to false if
   * there was nothing to do, as on the CPU.
   */
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
