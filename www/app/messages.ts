import type { ErrorCode } from "../lib/public/index.js";

/** A failure in plain words, and what the user can do next. */
export interface Message {
  title: string;
  next: string;
  /** The action of the button; no button if absent. */
  action?: "reload-model" | "use-cpu" | "inspect";
}

/** The message for each error code. */
export const MESSAGES: Record<ErrorCode, Message> = {
  "not-an-image": {
    title: "This file is not an image that can be read.",
    next: "Choose a photograph in PNG, JPEG, WebP, BMP or TIFF format.",
  },
  "file-unreadable": {
    title: "The file could not be opened.",
    next: "It may have been moved or deleted since you chose it. Choose it again.",
  },
  "image-damaged": {
    title: "The image is damaged or incomplete.",
    next: "Copy it from the camera again, or open and save it in an image program.",
  },
  "image-too-large": {
    title: "The image is too large.",
    next: "Up to 64 megapixels can be inspected. Crop it or make it smaller, then try again.",
  },
  "question-too-long": {
    title: "The text is too long for this model.",
    next: "Shorten the question, the object’s name or the description.",
  },
  "question-empty": {
    title: "There is no question yet.",
    next: "Write what you would like to know, then press Ask.",
  },
  "no-image": {
    title: "No photograph has been inspected yet.",
    next: "Inspect a photograph first, then ask about it.",
  },
  "no-good-part": {
    title: "None of the photographs of good parts could be used.",
    next: "Choose photographs of good parts in PNG, JPEG, WebP, BMP or TIFF format, then find the threshold again.",
  },
  "bad-query": {
    title: "One of the settings cannot be used.",
    next: "Check the fields below the photograph, then press Inspect.",
  },
  "package-missing": {
    title: "A part of the model is missing on the server.",
    next: "Try again. If that does not help, whoever runs this page has to put the file back.",
    action: "reload-model",
  },
  "package-damaged": {
    title: "A part of the model is damaged.",
    next: "It does not match its checksum and was not used. Try again to load it anew.",
    action: "reload-model",
  },
  "package-version": {
    title: "The model is made for another version of this page.",
    next: "Reload the page. If that does not help, the model has to be converted again.",
    action: "reload-model",
  },
  network: {
    title: "The model could not be loaded: no connection.",
    next: "Check that you are online and that the server runs, then try again.",
    action: "reload-model",
  },
  "no-gpu": {
    title: "No usable GPU was found in this browser.",
    next: "Go on with the CPU; it gives the same results.",
    action: "use-cpu",
  },
  "gpu-lost": {
    title: "The GPU stopped answering.",
    next: "The engine starts anew with your next inspection. If it happens again, use the CPU.",
    action: "use-cpu",
  },
  "out-of-memory": {
    title: "There was not enough memory.",
    next: "Close other tabs or use a smaller photograph, then inspect it again.",
    action: "inspect",
  },
  crashed: {
    title: "The engine stopped unexpectedly.",
    next: "It starts anew with your next inspection; nothing else on this page is lost.",
    action: "inspect",
  },
  unsupported: {
    title: "The engine could not be started.",
    next: "Use a current Chrome, Edge, Firefox or Safari, and check that no filter blocks this page’s files.",
    action: "reload-model",
  },
  cancelled: { title: "Stopped.", next: "Press Inspect to start again." },
  closed: {
    title: "The engine is not running.",
    next: "Load the model again.",
    action: "reload-model",
  },
  internal: {
    title: "Something went wrong that should not have.",
    next: "Try once more. The details below help to report it.",
    action: "inspect",
  },
};

/** The message for a sample photograph that could not be fetched. */
export const SAMPLE_MISSING: Message = {
  title: "The sample could not be fetched: no connection.",
  next: "Choose a photograph of your own, or try the sample again when you are online.",
};
