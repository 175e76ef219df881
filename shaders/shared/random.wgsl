// Used by expressions.
// Threefry-2x32 with 20 rounds (Salmon et al. 2011); twin of src/scalar/threefry.rs.
#import lanes/one

fn threefry_round(low: ptr<function, UintLanes>, high: ptr<function, UintLanes>, rotation: u32) {
    *low = *low + *high;
    *high = ((*high << UintLanes(rotation)) | (*high >> UintLanes(32u - rotation))) ^ *low;
}

fn threefry(word: u32, key0: UintLanes, key1: UintLanes, counter0: UintLanes, counter1: UintLanes) -> UintLanes {
    let key2 = UintLanes(0x1BD11BDAu) ^ key0 ^ key1;
    var low = counter0 + key0;
    var high = counter1 + key1;
    threefry_round(&low, &high, 13u);
    threefry_round(&low, &high, 15u);
    threefry_round(&low, &high, 26u);
    threefry_round(&low, &high, 6u);
    low += key1;
    high += key2 + UintLanes(1u);
    threefry_round(&low, &high, 17u);
    threefry_round(&low, &high, 29u);
    threefry_round(&low, &high, 16u);
    threefry_round(&low, &high, 24u);
    low += key2;
    high += key0 + UintLanes(2u);
    threefry_round(&low, &high, 13u);
    threefry_round(&low, &high, 15u);
    threefry_round(&low, &high, 26u);
    threefry_round(&low, &high, 6u);
    low += key0;
    high += key1 + UintLanes(3u);
    threefry_round(&low, &high, 17u);
    threefry_round(&low, &high, 29u);
    threefry_round(&low, &high, 16u);
    threefry_round(&low, &high, 24u);
    low += key1;
    high += key2 + UintLanes(4u);
    threefry_round(&low, &high, 13u);
    threefry_round(&low, &high, 15u);
    threefry_round(&low, &high, 26u);
    threefry_round(&low, &high, 6u);
    low += key2;
    high += key0 + UintLanes(5u);
    return select(high, low, word == 0u);
}
