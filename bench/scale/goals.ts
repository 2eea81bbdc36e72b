import type { Bar } from '../bars.ts';
import { median } from '../figures.ts';
import type { DeleteGrowth } from './delete-growth.ts';

/** What was measured of a registry that the goals go by. */
export interface GoalFigures {
  readonly kind: 'workers' | 'cluster' | 'distribution';
  readonly processes: number;
  readonly manifestsPerSecond: number;
  /** Of a disk's, for each byte pushed; 0 where the files are in memory. */
  readonly writtenPerByte: number;
}

/** What several processes are to give: each goal of which there is a figure. */
export function goalsOf(rounds: readonly (readonly GoalFigures[])[], growth: readonly DeleteGrowth[]): readonly Bar[] {
  return [...workersGoal(rounds), ...writtenGoal(rounds), ...growthGoals(growth)];
}

function workersGoal(rounds: readonly (readonly GoalFigures[])[]): readonly Bar[] {
  const times = rounds.flatMap((measured) => {
    const of = (count: number) => measured.find(({ kind, processes }) => kind === 'workers' && processes === count);
    const [one, two] = [of(1), of(2)];
    return one === undefined || two === undefined ? [] : [two.manifestsPerSecond / one.manifestsPerSecond];
  });
  const is = median(times);
  if (is === undefined) return [];
  const figures = [times.map((each) => each.toFixed(2)).join(', ')];
  return [{ what: 'manifests/s of 2 workers, of one', figures, is, limit: 1.7, better: 'higher', unit: '×' }];
}

function writtenGoal(rounds: readonly (readonly GoalFigures[])[]): readonly Bar[] {
  const all = rounds.flat();
  const written = (wanted: GoalFigures['kind']): readonly number[] =>
    all.flatMap(({ kind, writtenPerByte }) => (kind === wanted && writtenPerByte > 0 ? [writtenPerByte] : []));
  if (!all.some(({ kind }) => kind === 'cluster')) return [];
  const is = median(written('cluster'));
  const other = median(written('distribution'));
  const figures = [other === undefined ? '' : `distribution ${other.toFixed(2)}`];
  return [{ what: 'bytes written to S3 per byte pushed', figures, is, limit: 1.05, better: 'lower', unit: '' }];
}

function growthGoals(growth: readonly DeleteGrowth[]): readonly Bar[] {
  const [least, most] = [growth.at(0), growth.at(-1)];
  if (least === undefined || most === undefined || least === most) return [];
  const times = (most.images / least.images).toLocaleString('en');
  const bar = (name: string, of: (one: DeleteGrowth) => number, limit: number, digits: number): Bar => ({
    what: `${name} of a delete, ${times} times the images`,
    figures: [growth.map((one) => of(one).toFixed(digits)).join(', ')],
    is: of(most) / of(least),
    limit,
    better: 'lower',
    unit: '×',
  });
  return [
    bar('statements', ({ statements }) => statements, 1.05, 0),
    bar('rows', ({ rows }) => rows, 1.05, 0),
    // Times are never the same twice.
    bar('time', ({ ms }) => ms, 1.5, 1),
  ];
}
