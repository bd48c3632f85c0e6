/** Short forms of given names. Each line is one family: any two names of it may mean one person. Folded as `fold` does it. */
const families = [
  'robert rob bob bobby robbie bert',
  'william will bill billy willy liam wilhelm willi',
  'richard rick dick ricky rich richie',
  'elizabeth elisabeth liz lizzie beth betty eliza elsie libby lisa lisbeth elisa',
  'margaret maggie meg peggy marge margie greta gretchen margarete margret',
  'katherine catherine kathryn katharina kate katie kathy cathy kat kitty katja trina karin',
  'michael mike mick mikey micha michel miguel',
  'james jim jimmy jamie jaime',
  'john jack johnny jon jonny jonathan johannes hans hannes jan johann juan jean giovanni gianni',
  'joseph joe joey josef jose pepe sepp giuseppe beppe',
  'thomas tom tommy thom tomas',
  'charles charlie chuck chas karl carl carlos carlo',
  'edward ed eddie ted ned eduard eduardo',
  'anthony tony anton antonio toni antoine',
  'christopher chris kit christoph topher cristobal',
  'daniel dan danny daniele',
  'david dave davy davide',
  'matthew matt matthias matteo mateo matthieu',
  'andrew andy drew andreas andre andrea andres',
  'alexander alex sascha sasha xander alejandro alessandro alexandre lex al sandy',
  'alexandra alex sandra sandy sasha alessandra alejandra',
  'benjamin ben benny benji',
  'samuel samantha sam sammy',
  'nicholas nick nicky nikolaus klaus nico nicolas nicola niklas',
  'patrick pat paddy patricia patty trish tricia',
  'peter pete pierre pedro pietro pieter piet',
  'stephen steven steve stefan stephan steffen stefano etienne',
  'timothy tim timmy',
  'gregory greg gregor',
  'jeffrey jeff geoff geoffrey',
  'kenneth ken kenny',
  'lawrence laurence larry lars lorenz lorenzo',
  'leonard leo lenny leon leonardo',
  'raymond ray',
  'ronald ron ronnie',
  'donald don donnie',
  'douglas doug',
  'frederick fred freddy friedrich fritz federico frederic rick',
  'francis frank frankie franz francisco paco francesco franco francois',
  'georg george georgie jorge giorgio georges jurgen',
  'gerald gerard gerry jerry gerhard gerd',
  'harold henry harry hal hank heinrich heinz enrique enrico henri hendrik henk',
  'martin marty martina martino',
  'philip phil phillip philipp felipe filippo philippe',
  'rudolf rudi rolf rudy',
  'theodore theodor theo ted teddy',
  'vincent vince vinny vincenzo vicente',
  'walter walt wally',
  'zachary zach zack',
  'abigail abby gail',
  'amanda mandy',
  'ann anna anne annie nancy annette nan hanna hannah anja anita',
  'barbara barb babs barbie barbel',
  'caroline carolyn carol carrie lina karoline',
  'christine christina chris tina chrissie kristin kirsten christa christiane cristina',
  'cynthia cindy',
  'deborah debra deb debbie',
  'dorothy dot dottie dolly dora dorothea thea',
  'eleanor ellie nell nora ella helen helena ellen helene lena elena',
  'emily emma em emilia millie',
  'frances fran francesca franziska franzi paca',
  'gabriel gabriele gabriela gaby gabi gabe',
  'gertrude trudy gertrud',
  'isabel isabella isabelle bella izzy belle',
  'jacqueline jackie',
  'jennifer jen jenny jenna',
  'jessica jess jessie',
  'joan joanna joanne jo johanna hanna juana giovanna',
  'judith judy',
  'julia julie jules juliana julian',
  'kimberly kim',
  'laura lauren laurie lori',
  'linda lynn lindy',
  'louise lou louisa luise louis ludwig lewis luis luigi lutz',
  'magdalena lena magda madeleine maddie madeline',
  'mary maria marie molly polly mimi maja mia marion marianne mitzi',
  'melissa mel missy melanie',
  'monica monika moni',
  'pamela pam',
  'rebecca becky becca rebekka',
  'rachel ray rae raquel',
  'roberta bobbie',
  'susan sue susie suzanne susanne suzy susanna susi',
  'teresa theresa terry tess tessa resi therese',
  'terence terry',
  'ursula uschi ulla',
  'valerie val',
  'veronica ronnie vera veronika',
  'victoria vicky tori viktoria',
  'victor vic viktor',
  'virginia ginny ginger',
  'wolfgang wolf',
]

const familiesOf = new Map<string, number[]>()
for (const [index, family] of families.entries()) {
  for (const name of family.split(' ')) {
    familiesOf.set(name, [...(familiesOf.get(name) ?? []), index])
  }
}

/** Whether two folded given names belong to one family, e.g. `bob` and `robert`. */
export function sameNickname(a: string, b: string): boolean {
  const left = familiesOf.get(a)
  const right = familiesOf.get(b)
  return left !== undefined && right !== undefined && left.some((family) => right.includes(family))
}

/** One name for the family of a folded given name, the name itself where it has none: what blocks are made by. */
export function plainName(name: string): string {
  const family = familiesOf.get(name)?.[0]
  return family === undefined ? name : (families[family]?.split(' ')[0] ?? name)
}
