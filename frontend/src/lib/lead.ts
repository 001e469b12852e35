/** Where in a video an incident is played from. Pure. */

/** So much before it begins, s. */
const LEAD_S = 2;

export const leadOf = ({ t_start }: { t_start: number }): number => Math.max(0, t_start - LEAD_S);
