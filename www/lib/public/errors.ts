/** The codes of all failures of opening a model and of inspecting. */
export const ERROR_CODES = [
  /** The file is not an image of a supported format. */
  "not-an-image",
  /** The file could not be read: moved, deleted or not permitted. */
  "file-unreadable",
  /** The image is truncated or corrupt. */
  "image-damaged",
  /** The image has more pixels or bytes than the engine accepts. */
  "image-too-large",
  /** The question, description or name does not fit into the context of the model. */
  "question-too-long",
  /** The question is empty. */
  "question-empty",
  /** A follow-up question was asked before any photograph was inspected. */
  "no-image",
  /** No photograph of a good part could be used for the calibration. */
  "no-good-part",
  /** A setting is invalid or out of its range. */
  "bad-query",
  /** A file of the model package does not exist. */
  "package-missing",
  /** A file of the model package does not match the manifest. */
  "package-damaged",
  /** This build does not know the format version of the package. */
  "package-version",
  /** The connection failed while the package was fetched. */
  "network",
  /** A GPU was requested and no usable one was found. */
  "no-gpu",
  /** The GPU device was lost during a call. */
  "gpu-lost",
  /** The engine ran out of memory. */
  "out-of-memory",
  /** The engine crashed and has to be restarted. */
  "crashed",
  /** The engine could not be started (an old browser, a blocked file). */
  "unsupported",
  /** The caller cancelled. */
  "cancelled",
  /** The inspector was closed. */
  "closed",
  /** Any other failure: a bug. */
  "internal",
] as const;

/** One of {@link ERROR_CODES}. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** After these errors the state of the worker is undefined, so a new worker replaces it. */
const FATAL: ReadonlySet<ErrorCode> = new Set([
  "crashed",
  "gpu-lost",
  "out-of-memory",
  "unsupported",
]);

/** The one error class of the library: a code to act on, a message to read. */
export class VmadError extends Error {
  override readonly name = "VmadError";
  /** The kind of failure. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** True if the engine has to be restarted. */
  get fatal(): boolean {
    return FATAL.has(this.code);
  }
}

/** True if `value` is one of {@link ERROR_CODES}. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return ERROR_CODES.some((code) => code === value);
}

/**
 * Converts any thrown value into a {@link VmadError}. The engine throws `{code, message}`; a panic in
 * wasm throws a `WebAssembly.RuntimeError`.
 */
export function toVmadError(thrown: unknown): VmadError {
  if (thrown instanceof VmadError) return thrown;
  const message = messageOf(thrown);
  if (isRecord(thrown) && isErrorCode(thrown["code"])) {
    return new VmadError(thrown["code"], message, { cause: thrown });
  }
  if (thrown instanceof WebAssembly.RuntimeError) {
    return new VmadError("crashed", message, { cause: thrown });
  }
  if (thrown instanceof RangeError && /memory|allocation/i.test(message)) {
    return new VmadError("out-of-memory", message, { cause: thrown });
  }
  return new VmadError("internal", message, { cause: thrown });
}

function messageOf(thrown: unknown): string {
  if (isRecord(thrown) && typeof thrown["message"] === "string") return thrown["message"];
  return String(thrown);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
