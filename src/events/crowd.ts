/**
 * When work comes in crowds, it is done in larger pieces: after a piece of 8 or more the next one begins 16 ms after it at
 * the earliest, and finds more. Whoever comes alone never waits for company.
 */
export const crowdMin = 8;
export const distanceMs = 16;
