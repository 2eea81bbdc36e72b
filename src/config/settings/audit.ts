import { fileOrNone } from '../setting-types.ts';
import { setting } from './setting.ts';

export const auditSettings = {
  auditFile: setting({
    name: 'audit.file',
    type: fileOrNone,
    default: 'none',
    description:
      'The file to which every event is appended too, as a line of JSON. It is made where it is not there, and opened anew ' +
      'when it was moved away or the server gets SIGHUP. While it cannot be written, requests go on, and the file is ' +
      'caught up with later. Each process that serves the registry writes a file of its own; of those on one machine that ' +
      'name the same, one writes it, and the others take over when it ends. [events.md](events.md) says what the lines hold.',
  }),
};
