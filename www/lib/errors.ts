/** Every way in which opening a model or inspecting a photograph can fail. */
export const ERROR_CODES = [
  /** The bytes are no image of a format that can be read. */
  "not-an-image",
  /** The file could not be read: moved, deleted or not allowed. */
  "file-unreadable",
  /** An image that breaks off or contradicts itself. */
  "image-damaged",
  /** More pixels or bytes than the engine accepts. */
  "image-too-large",
  /** A question (or a description, or a name) longer than the model can read. */
  "question-too-long",
  /** A question with nothing in it. */
  "question-empty",
  /** A follow-up question before any photograph was inspected. */
  "no-image",
  /** A calibration without one photograph of a good part that can be used. */
  "no-good-part",
  /** A setting out of its range. */
  "bad-query",
  /** A file of the model package is not there. */
  "package-missing",
  /** A file of the model package is not what the manifest says. */
  "package-damaged",
  /** A package of a format version that this build does not know. */
  "package-version",
  /** The connection failed while the package was fetched. */
  "network",
  /** The GPU was asked for and there is none that can be used. */
  "no-gpu",
  /** The GPU went away while it was at work. */
  "gpu-lost",
  /** The engine ran out of memory. */
  "out-of-memory",
  /** The engine stopped in a way it should not; it has to be restarted. */
  "crashed",
  /** The engine could not be started at all (an old browser, a blocked file). */
  "unsupported",
  /** The caller gave up. */
  "cancelled",
  /** The inspector was closed. */
  "closed",
  /** Anything else: a fault of ours. */
  "internal",
] as const;

/** One of {@link ERROR_CODES}. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** After these the worker's state cannot be trusted and a new worker takes its place. */
const FATAL: ReadonlySet<ErrorCode> = new Set([
  "crashed",
  "gpu-lost",
  "out-of-memory",
  "unsupported",
]);

/** The one error class of the library: a code to act on, a message to read. */
export class VmadError extends Error {
  override readonly name = "VmadError";
  /** What failed. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** Whether the engine has to be restarted before it can go on. */
  get fatal(): boolean {
    return FATAL.has(this.code);
  }
}

/** Tells a known code from any other text. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return ERROR_CODES.some((code) => code === value);
}

/**
 * Makes a {@link VmadError} of whatever was thrown: the engine throws `{code, message}`, a panic in
 * wasm shows itself as a `WebAssembly.RuntimeError`.
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
