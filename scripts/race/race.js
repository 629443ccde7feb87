/** Lets a script race products and parts of a model in this page. */
import { launchTokens, racePart } from "./models.js";
import { raceProduct } from "./products.js";

Object.assign(globalThis, { launchTokens, racePart, raceProduct, isReady: true });
