/**
 * The messages between the page and its worker: two discriminated unions. Structured values only;
 * the buffers of photographs and maps are transferred.
 */
import type { ErrorCode } from "../public/errors.js";
import type {
  CalibrateEvent,
  CalibrationOptions,
  DeviceChoice,
  DeviceInfo,
  Generation,
  InspectEvent,
  Query,
  Report,
} from "../public/types.js";

/** A photograph to calibrate with, as it goes to the worker. */
export interface CalibrationPhoto {
  name: string;
  defective: boolean;
  /** The file; absent if it could not be read. */
  image?: Uint8Array<ArrayBuffer>;
  /** Why it could not be read. */
  failure?: string;
}

/**
 * Page to worker. `id` names the call; `cancel` carries the id of the call to cancel, `photo` the id
 * of the calibration that requested the photograph.
 */
export type Request =
  | { kind: "open"; id: number; packageUrl: string; device: DeviceChoice }
  | { kind: "inspect"; id: number; image: Uint8Array<ArrayBuffer>; query: Query }
  | { kind: "ask"; id: number; question: string; generation: Generation }
  | { kind: "calibrate"; id: number; options: CalibrationOptions }
  /** The answer to `next-photo`; `null` after the last photograph. */
  | { kind: "photo"; id: number; photo: CalibrationPhoto | null }
  | { kind: "report"; id: number }
  | { kind: "cancel"; id: number };

/**
 * Worker to page. Every request except `cancel` and `photo` ends with `finished` or `failed`. If the
 * engine crashes, one `crashed` ends all of them.
 */
export type Reply =
  | { kind: "event"; id: number; event: InspectEvent | CalibrateEvent }
  /** The calibration is ready for its next photograph. */
  | { kind: "next-photo"; id: number }
  | { kind: "opened"; id: number; device: DeviceInfo }
  | { kind: "reported"; id: number; report: Report }
  | { kind: "finished"; id: number }
  | { kind: "failed"; id: number; code: ErrorCode; message: string }
  | { kind: "crashed"; message: string };
