/** Bytes with a unit, e.g. `14.2 MB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit] ?? ""}`;
}

/** A duration with a unit, e.g. `840 ms` or `1.25 s`. */
export function formatTime(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** A score or threshold from 0 to 1 with three decimals. */
export function formatScore(score: number): string {
  return score.toFixed(3);
}

/** A share of the photograph, e.g. `1.3 %`. */
export function formatShare(share: number): string {
  const percent = share * 100;
  return percent > 0 && percent < 0.1 ? "< 0.1 %" : `${percent.toFixed(1)} %`;
}

const STAGES: Record<string, string> = {
  manifest: "Reading the package",
  tokenizer: "Loading the tokenizer",
  weights: "Loading the weights",
  building: "Putting the model together",
  decode: "Reading the photograph",
  prior: "Comparing the parts of the photograph",
  clip: "Looking at the photograph",
  projector: "Condensing what was seen",
  sam: "Looking at the details",
  llm: "Reading the question",
  mask: "Drawing the mask",
  score: "Scoring",
  generate: "Writing the answer",
};

/** The display text of an engine stage; an unknown stage keeps its own name. */
export function formatStage(stage: string): string {
  return STAGES[stage] ?? stage.charAt(0).toUpperCase() + stage.slice(1);
}
