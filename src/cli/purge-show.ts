import { showPlaces, showPurge } from '../http/admin/purge.ts';
import type { AdminClient } from './admin-client.ts';
import type { Printed } from './printed.ts';
import { placeText, recordText } from './purge-text.ts';

/** The record of a purge, and each place that it had, as they come. */
export async function printedRecord(admin: AdminClient, id: string | undefined): Promise<Printed> {
  const record = await admin.ask(showPurge, { query: { id } });
  const places = () => admin.listen(showPlaces, { query: { id } });
  return {
    async *text() {
      yield `${recordText(record)}\n`;
      let heading = 'Where it was:\n';
      for await (const place of places()) {
        yield `${heading}${placeText(place)}\n`;
        heading = '';
      }
    },
    async *json() {
      const fields = Object.entries(record).map(
        ([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)},\n`,
      );
      yield `{\n${fields.join('')}  "foundIn": [`;
      let separator = '\n';
      for await (const place of places()) {
        yield `${separator}    ${JSON.stringify(place)}`;
        separator = ',\n';
      }
      yield '\n  ]\n}\n';
    },
  };
}
