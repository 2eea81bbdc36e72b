import { testedPostgres } from './pair.ts';
import type { Tables } from './tables.ts';

/**
 * Has rows be as if the minute had passed after which other processes take up what a killed one had taken for itself: reviews,
 * purges, the turn to make room, and its place among them. Nothing to do where no others could be.
 */
export function forgetKilledProcess(tables: Tables): void {
  if (testedPostgres === undefined) return;
  tables.change('update task set claimed_until = 0 where claimed_until > 0');
  tables.change(
    'update purge set finisher = null; update room_making set process = null; delete from purge_confirmation; delete from process',
  );
}
