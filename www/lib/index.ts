/** Visual anomaly inspection in the browser: see {@link Inspector}. */
export { ERROR_CODES, isErrorCode, toVmadError, VmadError, type ErrorCode } from "./errors.js";
export {
  Inspector,
  MAX_IMAGE_BYTES,
  type CallOptions,
  type OpenOptions,
  type WorkerLike,
} from "./inspector.js";
export type {
  Ask,
  DeviceChoice,
  DeviceInfo,
  DoneEvent,
  Generation,
  InspectEvent,
  MaskEvent,
  ProgressEvent,
  Query,
  Region,
  Report,
  ResultEvent,
  StopReason,
  TokenEvent,
} from "./protocol.js";
