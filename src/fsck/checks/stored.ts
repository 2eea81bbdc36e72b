import type { Check, Checked } from '../check.ts';

interface Difference {
  readonly state: string;
  readonly objects: number;
  readonly bytes: number;
  readonly counted_objects: number;
  readonly counted_bytes: number;
}

/** F16: what the bounds of storage go by is what there is. One statement, so that all of it is of one moment. */
export function storedCheck({ records }: Checked): Check<string> {
  return {
    name: 'counts',
    keysAfter: (after) => (after === undefined ? ['stored'] : []),
    look: () =>
      records
        .all<Difference>(
          `with counted as (
             select state, count(*) as objects, sum(size_bytes) as bytes from object as every_object group by state
           ), coming as (
             select coalesce(sum(offset_bytes), 0) as bytes from upload as every_upload where oid is not null
           )
           select stored.state, stored.objects, stored.bytes,
             coalesce(counted.objects, 0) as counted_objects,
             coalesce(counted.bytes, 0)
               + case when stored.state = 'pending' then (select bytes from coming) else 0 end as counted_bytes
           from stored left join counted on counted.state = stored.state
           where stored.objects <> counted_objects or stored.bytes <> counted_bytes`,
        )
        .map(({ state, objects, bytes, counted_objects, counted_bytes }) => ({
          code: 'F16',
          severity: 'leak',
          about: `count of ${state} objects`,
          message: `it says ${objects} with ${bytes} bytes, and there are ${counted_objects} with ${counted_bytes}: the bounds of storage go by it`,
          advice: 'fsck --repair counts anew',
          repair: { kind: 'recount-stored' },
        })),
  };
}
