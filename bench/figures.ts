/** One line of the table: what was measured, and which direction is better. */
export interface Figure {
  readonly title: string;
  readonly better: 'higher' | 'lower';
  readonly digits: number;
}

/** Every figure of the bench, in the order of the table; README.md says what each means. */
export const figures = {
  startMs: { title: 'start to first answer, ms', better: 'lower', digits: 0 },
  idleMB: { title: 'idle memory, MB', better: 'lower', digits: 0 },
  pushMBs: { title: 'push, MB/s', better: 'higher', digits: 0 },
  pushCpu: { title: 'push, CPU-s/GB', better: 'lower', digits: 2 },
  pullMBs: { title: 'pull, MB/s', better: 'higher', digits: 0 },
  pullCpu: { title: 'pull, CPU-s/GB', better: 'lower', digits: 2 },
  blobPeakMB: { title: 'peak memory after the blobs, MB', better: 'lower', digits: 0 },
  manifestsPerSecond: { title: 'manifests by tag, requests/s', better: 'higher', digits: 0 },
  manifestCpu: { title: 'manifests by tag, CPU µs each', better: 'lower', digits: 0 },
  imagesPerSecond: { title: 'small images pushed, images/s', better: 'higher', digits: 0 },
  imageCpu: { title: 'small images pushed, CPU µs each', better: 'lower', digits: 0 },
  imageGeneratorCores: { title: 'small images, cores used by the client', better: 'lower', digits: 2 },
  peakMB: { title: 'peak memory of all, MB', better: 'lower', digits: 0 },
} as const satisfies Record<string, Figure>;

export type FigureName = keyof typeof figures;

/** The samples of one registry, one or more a round. */
export type Samples = Map<FigureName, number[]>;

/** The middle value, or the mean of the middle two; undefined of nothing. */
export function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  return upper === undefined || lower === undefined ? undefined : (lower + upper) / 2;
}

/** How many times better `ours` is than `theirs`: above 1 we are ahead, whichever direction is better. */
export function timesBetter(figure: Figure, ours: number, theirs: number): number {
  return figure.better === 'higher' ? ours / theirs : theirs / ours;
}

/** Adds a sample of a figure. */
export function addSample(samples: Samples, name: FigureName, value: number): void {
  const values = samples.get(name);
  if (values === undefined) samples.set(name, [value]);
  else values.push(value);
}
