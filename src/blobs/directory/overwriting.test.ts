import { describe, expect, test } from 'bun:test';
import { overwriting } from './overwriting.ts';

describe('overwriting a file in place', () => {
  test.each([
    [0xef53, 'ext4'],
    [0x58465342, 'XFS'],
  ])('means something on a file system that writes in place: %p, %s', (kind, name) => {
    const { isMeaningful, words } = overwriting(kind);
    expect(isMeaningful).toBe(true);
    expect(words).toContain(name);
    expect(words).toContain('SSD');
  });

  test.each([
    [0x9123683e, 'btrfs'],
    [0x9123683e | 0, 'btrfs'],
    [0x2fc12fc1, 'ZFS'],
    [0x794c7630, 'overlayfs'],
    [0x01021994, 'tmpfs'],
    [0x6969, 'NFS'],
    [1, 'not known'],
  ])('means nothing elsewhere, and says why: %p, %s', (kind, name) => {
    const { isMeaningful, words } = overwriting(kind);
    expect(isMeaningful).toBe(false);
    expect(words).toContain('nothing was overwritten');
    expect(words).toContain(name);
  });
});
