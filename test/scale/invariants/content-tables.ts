/** The tables that say what a registry holds, and what it must not. */
export const contentTables = [
  'object',
  'upload',
  'link',
  'manifest',
  'manifest_blob',
  'manifest_child',
  'tag',
  'tag_trash',
  'blocked',
] as const;
