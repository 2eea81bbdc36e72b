// As much of the sqlite3 command as the examples use: SQL, and `.backup FILE`, for a machine that has none or an old one.
import { Database } from 'bun:sqlite';

const [file, ...commands] = process.argv.slice(2);
const database = new Database(file, { readwrite: true });
for (const command of commands) {
  const target = /^\.backup (.+)$/.exec(command)?.[1];
  if (target === undefined) database.run(command);
  else await Bun.write(target, database.serialize());
}
