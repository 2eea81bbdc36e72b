import type { Check, Checked } from '../check.ts';

interface Difference {
  readonly state: string;
  readonly objects: number;
  readonly bytes: number;
  readonly countedObjects: number;
  readonly countedBytes: number;
}

/** F16: what the bounds of storage go by is what there is. One statement, so that all of it is of one moment. */
export function storedCheck({ records }: Checked): Check<string> {
  return {
    name: 'counts',
    keysAfter: (after) => (after === undefined ? ['stored'] : []),
    look: async () => {
      const differences = await records.all<Difference>(
        `with kept as (
           select state, sum(objects) as objects, sum(bytes) as bytes from stored as every_count group by state
         ), found as (
           select state, count(*) as objects, sum(size_bytes) as bytes from object as every_object group by state
         ), coming as (
           select coalesce(sum(offset_bytes), 0) as bytes from upload as every_upload where oid is not null
         ), compared as (
           select kept.state, kept.objects, kept.bytes,
             coalesce(found.objects, 0) as "countedObjects",
             coalesce(found.bytes, 0)
               + case when kept.state = 'pending' then coming.bytes else 0 end as "countedBytes"
           from kept cross join coming left join found on found.state = kept.state
         )
         select * from compared where objects <> "countedObjects" or bytes <> "countedBytes" order by state`,
      );
      return differences.map(({ state, objects, bytes, countedObjects, countedBytes }) => ({
        code: 'F16',
        severity: 'leak',
        about: `count of ${state} objects`,
        message: `it says ${objects} with ${bytes} bytes, and there are ${countedObjects} with ${countedBytes}: the bounds of storage go by it`,
        advice: 'fsck --repair counts anew',
        repair: { kind: 'recount-stored' },
      }));
    },
  };
}
