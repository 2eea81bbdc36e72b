// Numbers by which Linux knows file systems (statfs).
const ext = 0xef53;
const xfs = 0x58465342;
const names = new Map([
  [0x9123683e, 'btrfs'],
  [0x2fc12fc1, 'ZFS'],
  [0xca451a4e, 'bcachefs'],
  [0xf2f52010, 'F2FS'],
  [0x794c7630, 'overlayfs'],
  [0x01021994, 'tmpfs'],
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x65735546, 'FUSE'],
  [0x00c36400, 'Ceph'],
]);
const neverInPlace = new Set(['btrfs', 'ZFS', 'bcachefs', 'F2FS']);

const itself =
  'A disk that puts writes elsewhere by itself, as every SSD does, may keep the old bytes until it needs the room; so may snapshots below the file system.';

/** Whether to overwrite means anything, and in words what, or why not. */
export interface Overwriting {
  readonly isMeaningful: boolean;
  readonly words: string;
}

/**
 * What overwriting a file's bytes in place means on a file system.
 *
 * @param kind the number by which the system knows it
 */
export function overwriting(kind: number): Overwriting {
  const number = kind >>> 0;
  if (number === ext || number === xfs) {
    const name = number === ext ? 'ext2, ext3 or ext4' : 'XFS';
    return { isMeaningful: true, words: `the bytes were overwritten in place, on ${name}. ${itself}` };
  }
  const name = names.get(number);
  if (name === undefined) {
    return {
      isMeaningful: false,
      words: `nothing was overwritten: what that would do is not known of this file system`,
    };
  }
  if (name === 'tmpfs') {
    return {
      isMeaningful: false,
      words: 'nothing was overwritten: tmpfs is memory, which the system clears before it is used again',
    };
  }
  if (neverInPlace.has(name)) {
    return {
      isMeaningful: false,
      words: `nothing was overwritten: ${name} writes new bytes elsewhere and leaves the old ones where they are`,
    };
  }
  return {
    isMeaningful: false,
    words: `nothing was overwritten: where ${name} keeps the bytes cannot be told from here, nor whether it writes in place`,
  };
}
