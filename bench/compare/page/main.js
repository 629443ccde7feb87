/** Exposes the comparisons to the script that drives this page. */
import { launchTokens, comparePart } from "./models.js";
import { compareProduct } from "./products.js";

Object.assign(globalThis, { launchTokens, comparePart, compareProduct, isReady: true });
