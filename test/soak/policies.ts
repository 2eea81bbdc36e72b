/** So many builds, the newest, one of the policies keeps of each of its repositories. */
export const keptOfNightly = 3;

/** Policies of a soak: one prunes all the time, the other only for room. Used is what was pushed or pulled of late. */
export const policies = `
policies:
  - name: nightly
    repositories: nightly/**
    default: keep
    rules:
      - { action: keep, tags: build-*, mostRecentlyPushedCount: ${keptOfNightly} }
      - { action: prune, name: old builds, tags: build-* }
    rails: { tagsPerDay: 100%, bytesPerDay: 100%, grace: 0 }
  - name: room
    repositories: '**'
    default: keep
    whenFull: prune
    rules:
      - { action: keep, name: in use, pulledWithin: 5s }
    rails: { grace: 0 }
`;

/** In the reasons of what goes by the one and by the other. */
export const reasonOfNightly = 'old builds';
export const reasonForRoom = 'room is needed';
